"""The networks of a run by name and arguments, with published weights in their backbones."""

from collections.abc import Iterator

from torch import nn

from weakmask.methods.wsmis.config import NetworkSettings, SegmentationSettings, WsmisSettings
from weakmask.networks import build_network
from weakmask.networks.published_weights import encoder_of
from weakmask.pipeline import Work
from weakmask.training.pretrained import load_pretrained

RANDOM = "none"

Described = tuple[str, dict[str, object]]


def classifier_of(settings: NetworkSettings, classes: int, *, any_class: bool = False) -> Described:
    """Name and arguments of the classifier.

    Args:
        settings: The backbone.
        classes: Number of classes.
        any_class: Whether it has one more output, any class or none.
    """
    return "backbone_classifier", {
        "backbone": settings.backbone,
        "out_channels": classes + any_class,
        "stride": settings.stride,
        "dropblock": settings.dropblock,
        "dropblock_ramp": settings.dropblock_ramp,
        "levels": settings.levels,
        "pooled": settings.pooled,
    }


def segmentation_of(network: NetworkSettings, settings: SegmentationSettings, classes: int) -> Described:
    """Name and arguments of the segmentation network; its first logit is the background's."""
    arguments = {"backbone": network.backbone, "out_channels": classes + 1, "stride": settings.stride}
    if settings.network == "unet":
        return "encoder_unet", {**arguments, "widths": list(settings.widths)}
    return settings.network, arguments


def pretrained(described: Described, settings: NetworkSettings, work: Work[WsmisSettings]) -> nn.Module:
    """Build a network with published weights in its backbone, and freeze the levels that keep them.

    From random weights nothing is frozen.

    Raises:
        UserError: There is no such file of weights, or it cannot be read.
    """
    network = build_network(*described)
    file = load_pretrained(network, settings.weights)
    if file is None:
        work.note(f"network.weights is {RANDOM}: the backbone starts from random weights")
        return network
    work.hash_input(file)
    encoder_of(network).freeze(settings.frozen_stride)
    return network


def groups_of(network: nn.Module, encoder_rate: float, other_rate: float) -> list[dict[str, object]]:
    """Groups of weights for an optimiser: those of the backbone that are not frozen, and the new layers."""

    def weights(*, in_encoder: bool) -> Iterator[nn.Parameter]:
        """The weights inside or outside the backbone that are trained."""
        for name, parameter in network.named_parameters():
            if parameter.requires_grad and name.startswith("encoder.") == in_encoder:
                yield parameter

    rates = {True: encoder_rate, False: other_rate}
    groups = [{"params": list(weights(in_encoder=inside)), "lr": rate} for inside, rate in rates.items()]
    return [group for group in groups if group["params"]]
