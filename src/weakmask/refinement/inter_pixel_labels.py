"""Labels of pixels that a map is sure of, and of pairs of such pixels (IRNet: Ahn, Cho, Kwak 2019, arXiv 1904.05044).

A pixel is a class where the map is high, background where it is low, and `IGNORED` in between. Two near pixels that are
both sure either belong together or have a boundary between them; the boundary network learns from such pairs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from weakmask.evaluation.class_masks import IGNORED
from weakmask.refinement.dense_crf import CRF, dense_crf, label_probabilities
from weakmask.refinement.input_checks import require_tensors
from weakmask.refinement.pair_affinity import pair_offsets, shifted

SUREST = 0.9  # probability that no map exceeds before the CRF, so that its neighbours can overrule each pixel


@dataclass(frozen=True)
class PixelPairs:
    """Which unordered pairs of sure pixels a loss counts; entry (pair, i) as in `edge_affinity`.

    Attributes:
        background: Both are background.
        foreground: Both are of one class that is not background.
        different: They are of two classes, of which one may be background.
    """

    background: Bool[Tensor, "batch pair *space"]
    foreground: Bool[Tensor, "batch pair *space"]
    different: Bool[Tensor, "batch pair *space"]


def labels_at_threshold(
    maps: Float[Tensor, "batch class *space"],
    threshold: float,
    image: Float[Tensor, "batch channel *space"] | None = None,
    crf: CRF | None = None,
    confidence: float | None = 0.7,
) -> Int[Tensor, " batch *space"]:
    """The class of the largest map, 0 where none is above the threshold, refined by a dense CRF.

    Args:
        maps: In [0, 1], one per class; the map of a class that is absent is 0 throughout, and it gets no pixel.
        threshold: The value that background has everywhere.
        image: Intensities for the CRF.
        crf: None: no refinement.
        confidence: Trust of the CRF in the labels before it (0.7 in IRNet); None: the CRF begins with the maps
            themselves, see `proportional_probabilities`.

    Returns:
        0 for background, k + 1 for the class of map k.

    Raises:
        TypeError: An input is not a tensor.
        ValueError: A CRF without an image, or what `dense_crf` refuses.
    """
    require_tensors(maps=maps, image=image)
    labels = torch.cat([torch.full_like(maps[:, :1], threshold), maps], dim=1).argmax(dim=1)
    if crf is None:
        return labels
    if image is None:
        raise ValueError("a CRF needs the image")
    if confidence is None:
        beliefs = proportional_probabilities(maps, threshold)
        refined = [
            most_probable(one, picture, crf) for one, picture in zip(beliefs.split(1), image.split(1), strict=True)
        ]
    else:
        refined = [
            _refined(one, picture, crf, confidence)
            for one, picture in zip(labels.split(1), image.split(1), strict=True)
        ]
    return torch.cat(refined)


def proportional_probabilities(
    maps: Float[Tensor, "batch class *space"], threshold: float
) -> Float[Tensor, "batch label *space"]:
    """Probabilities of background and of each class, in proportion to the threshold and to the maps.

    Args:
        maps: In [0, 1], one per class.
        threshold: The value of background, above 0.

    Returns:
        Background first; at most `SUREST` before the normalisation, and 0 for a class whose map is 0 throughout.
    """
    values = torch.cat([torch.full_like(maps[:, :1], threshold), maps], dim=1)
    values = (values / values.sum(dim=1, keepdim=True)).clamp(1 - SUREST, SUREST)
    absent = (maps == 0).flatten(2).all(dim=2)
    values[:, 1:][absent] = 0.0
    return values / values.sum(dim=1, keepdim=True)


def most_probable(
    probabilities: Float[Tensor, "one label *space"], image: Float[Tensor, "one channel *space"], crf: CRF
) -> Int[Tensor, " one *space"]:
    """The most probable label of each pixel of an image after the CRF; a class that is 0 throughout gets no pixel.

    Args:
        probabilities: Background first.
        image: Intensities.
        crf: Its parameters.
    """
    present = torch.cat([torch.ones(1, dtype=torch.bool), (probabilities[0, 1:] > 0).flatten(1).any(1).cpu()])
    present = present.nonzero()[:, 0].to(probabilities.device)
    if len(present) == 1:
        return torch.zeros_like(probabilities[:, 0], dtype=torch.long)
    found = probabilities[:, present]
    refined = dense_crf(found / found.sum(dim=1, keepdim=True), image, crf)
    return present[refined.argmax(dim=1)]


def sure_labels(
    high: Int[Tensor, " batch *space"], low: Int[Tensor, " batch *space"], ignored: int = IGNORED
) -> Int[Tensor, " batch *space"]:
    """One label map of two thresholds: foreground of the high one, background where both say so, else ignored.

    Args:
        high: Labels at the high threshold, see `labels_at_threshold`.
        low: Labels at the low one.
        ignored: The label of the other pixels.
    """
    unsure = (high == 0) & (low != 0)
    return high.masked_fill(unsure, ignored)


def pixel_pairs(labels: Int[Tensor, " batch *space"], radius: float, ignored: int = IGNORED) -> PixelPairs:
    """Sort the pairs closer than a radius whose pixels are both sure.

    Args:
        labels: See `sure_labels`.
        radius: See `pair_offsets`; 10 in IRNet's training.
        ignored: Pixels with this label are in no pair.

    Raises:
        TypeError: The labels are not a tensor.
        ValueError: No step is shorter than the radius.
    """
    require_tensors("(batch, *space)", labels=labels)
    space = labels.shape[1:]
    offsets = pair_offsets(radius, len(space))
    shape = (len(labels), len(offsets), *space)
    kinds = [torch.zeros(shape, dtype=torch.bool, device=labels.device) for _ in range(3)]
    for pair, offset in enumerate(offsets):
        if any(abs(step) >= side for step, side in zip(offset, space, strict=True)):
            continue
        here = shifted(offset, (0,) * len(space), space)
        near, far = labels[:, *here], labels[:, *shifted(offset, offset, space)]
        sure, equal = (near != ignored) & (far != ignored), near == far
        for kind, found in zip(kinds, (equal & (near == 0), equal & (near != 0), ~equal), strict=True):
            kind[:, pair, *here] = found & sure
    return PixelPairs(*kinds)


def _refined(labels: Tensor, image: Tensor, crf: CRF, confidence: float) -> Tensor:
    """The CRF between the labels that occur: a class that is absent cannot appear, and costs no time."""
    present, local = labels.unique(return_inverse=True)
    if len(present) == 1:
        return labels
    refined = dense_crf(label_probabilities(local, len(present), confidence), image, crf)
    return present[refined.argmax(dim=1)]
