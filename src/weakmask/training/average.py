"""Exponential moving average of a network's weights, less noisy than the weights of one step."""

import copy

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average of weights and buffers, including the statistics of batch norm.

    The decay grows with the steps as min(decay, (1 + step) / (10 + step)), so that the initial random weights lose
    their influence quickly.

    Attributes:
        network: A copy of the network that holds the average.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start at the network's weights.

        Raises:
            ValueError: The decay is not in (0, 1).
        """
        if not 0.0 < decay < 1.0:
            raise ValueError(f"the decay of averaged weights must lie between 0 and 1, not {decay}")
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network after a step (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averaged, current = self.network.state_dict(), network.state_dict()
        for name, value in averaged.items():
            if value.is_floating_point():
                value.lerp_(current[name], 1.0 - decay)
            else:  # batch norm's counter of batches
                value.copy_(current[name])
