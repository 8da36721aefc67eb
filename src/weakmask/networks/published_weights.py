"""Published weights in networks of this package; a weight that a file lacks is an error, never left random."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from weakmask.networks.encoder import Encoder

COUNTER = "num_batches_tracked"  # of batch norm: older files lack it, and it is not used


def encoder_of(network: nn.Module) -> Encoder:
    """The encoder of a network on a backbone, or the network itself if it is one.

    Raises:
        ValueError: The network has no encoder.
    """
    found = network if isinstance(network, Encoder) else getattr(network, "encoder", None)
    if not isinstance(found, Encoder):
        raise ValueError(f"{type(network).__name__} has no published backbone")  # noqa: TRY004 - a program's fault
    return found


@torch.no_grad()
def load_published(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy published weights into a network's encoder, and into its classifier if it has the published classes.

    Args:
        network: An encoder, or a network with the attribute `encoder`.
        state: The state dict of the published file.

    Raises:
        ValueError: A weight is missing, has another shape, or belongs to another network; the network is unchanged.
    """
    encoder = encoder_of(network)
    own = {name: tensor for name, tensor in encoder.state_dict().items() if not name.startswith(encoder.new or ("-",))}
    fault = next(faults(own, state, encoder.spare), None)
    if fault is not None:
        raise ValueError(fault)
    for name, tensor in own.items():
        if name in state:
            tensor.copy_(state[name])
    linear = getattr(network, "linear", None)
    weight, bias = (state.get(f"{encoder.linear_name}.{part}") for part in ("weight", "bias"))
    if (
        isinstance(linear, nn.Linear)
        and weight is not None
        and bias is not None
        and weight.shape == linear.weight.shape
    ):
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)


def faults(own: Mapping[str, Tensor], state: Mapping[str, Tensor], spare: tuple[str, ...]) -> Iterator[str]:
    """The differences between a network's weights and a file's, in words."""
    for name, tensor in own.items():
        if name not in state:
            if not name.endswith(COUNTER):
                yield f"{name} {tuple(tensor.shape)} is missing"
        elif state[name].shape != tensor.shape:
            yield f"{name} has the shape {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        elif not torch.isfinite(state[name]).all():
            yield f"{name} has values that are not finite"
    for name in state:
        if name not in own and not name.startswith(spare):
            yield f"{name} {tuple(state[name].shape)} is unexpected"
