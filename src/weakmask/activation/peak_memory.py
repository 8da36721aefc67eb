"""Peak memory of a network's forward pass, computed without running it."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary, finalize

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all live tensors that operations create.

    Attributes:
        peak: The largest number of live bytes since the mode was entered.
    """

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__()
        self.now = self.peak = 0
        self._seen: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count its results; a storage shared by views is counted once."""
        result = func(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, Tensor):
                storage = made.untyped_storage()
                if storage not in self._seen:
                    self._seen[storage] = storage.nbytes()
                    self.now += storage.nbytes()
                    finalize(storage, self._died, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return result

    def _died(self, size: int) -> None:
        self.now -= size


def peak_bytes(network: nn.Module, input_shape: Sequence[int], dtype: torch.dtype) -> int:
    """Peak bytes of all feature maps of one pass, including the input and without the weights.

    The pass runs on torch's "meta" device, where tensors have shapes but no contents, and takes milliseconds. Scratch
    memory of library kernels is not counted.

    Args:
        network: A copy on the "meta" device.
        input_shape: (batch, channel, *space).
        dtype: Type of the input.
    """
    with torch.inference_mode(), LiveBytes() as live:
        network(torch.empty(tuple(input_shape), dtype=dtype, device="meta"))
    return live.peak
