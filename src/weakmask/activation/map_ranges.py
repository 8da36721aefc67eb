"""Rules that bring an activation map into [0, 1], each by name, for tensors of any number of axes."""

from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "batch class *space"]


def by_range(maps: Maps) -> Maps:
    """(m - min) / (max - min) of each image and class, as Viniavskyi et al. 2020 cut their maps; a flat map is 0."""
    low, high = _ends(maps)
    span = high - low
    return ((maps - low) / span.masked_fill(span == 0, 1)).clamp_(0, 1)


def by_maximum(maps: Maps) -> Maps:
    """max(m, 0) / max of each image and class, as IRNet (Ahn et al. 2019) does; without a positive value: 0."""
    _, high = _ends(maps)
    return (maps / high.masked_fill(high <= 0, 1)).clamp_(0, 1) * (high > 0)


def _ends(maps: Tensor) -> tuple[Tensor, Tensor]:
    places = tuple(range(2, maps.ndim))
    return maps.amin(places, keepdim=True), maps.amax(places, keepdim=True)
