"""Fully connected CRF of Kraehenbuehl and Koltun (2011), in PyTorch.

Two Gaussian kernels connect each voxel with all others: smoothness (near voxels agree) and appearance (near voxels of
similar intensity agree). Mean field alternates between filtering the beliefs with both kernels and a softmax. The
kernels are normalised on both sides, D^-1/2 K D^-1/2, as in the authors' library, so that a weight has the same meaning
at every sigma.

    from weakmask.refinement import PRESETS, dense_crf
    refined = dense_crf(probabilities, image, PRESETS["irnet"])   # (1, classes, 512, 512) and (1, 3, 512, 512)
    refined = dense_crf(probabilities, ct, CRF(3, 3, 10, 60, 5), spacing_mm=(1.5, 0.7, 0.7))
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weakmask.refinement.bilateral_filter import BilateralFilter
from weakmask.refinement.gaussian_kernels import gaussian_filter
from weakmask.refinement.input_checks import require_tensors
from weakmask.refinement.permutohedral_filter import PermutohedralFilter

# Lower bound of probabilities: the logarithm of 0 would make both kernels ineffective.
_FLOOR = 1e-5


@dataclass(frozen=True)
class CRF:
    """Parameters of a dense CRF.

    Sigmas of space are in the unit of `spacing_mm` (pixels if none is given), sigmas of intensity in the unit of the
    image. A weight of 0 switches its kernel off.

    Attributes:
        smoothness_mm: sigma of the smoothness kernel; at 0 a voxel has no neighbours.
        smoothness_weight: its weight.
        appearance_mm: sigma of space of the appearance kernel.
        appearance_intensity: sigma of intensity of the appearance kernel.
        appearance_weight: its weight.
        iterations: of mean field; 0 returns the input.
        tolerance: largest error of a kernel's entries, where the kernel is factored (scalar images).
    """

    smoothness_mm: float = 3.0
    smoothness_weight: float = 3.0
    appearance_mm: float = 80.0
    appearance_intensity: float = 13.0
    appearance_weight: float = 10.0
    iterations: int = 5
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        """Raise ValueError for a number out of range."""
        for name, value in dataclasses.asdict(self).items():
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} is {value}; expected a finite number of at least 0")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}; expected a number between 0 and 1")

    def for_intensities(self, factor: float) -> "CRF":
        """The same CRF for an image whose intensities were multiplied by `factor` (1 / 255 for [0, 1])."""
        return dataclasses.replace(self, appearance_intensity=self.appearance_intensity * factor)

    def for_side(self, side: float, reference: float = 500.0) -> "CRF":
        """The same CRF for a picture of another size: the sigmas of space grow with its side.

        Args:
            side: Of the picture, in pixels: the geometric mean of height and width, say.
            reference: The side that the sigmas are made for; PASCAL VOC's pictures have about 500 pixels.

        Raises:
            ValueError: A side is not positive.
        """
        if not min(side, reference) > 0:
            raise ValueError(f"sides {side} and {reference}; expected positive numbers of pixels")
        factor = side / reference
        return dataclasses.replace(
            self, smoothness_mm=self.smoothness_mm * factor, appearance_mm=self.appearance_mm * factor
        )


# Published parameters, for 8-bit intensities (0 ... 255) and pixels unless a comment says otherwise.
PRESETS = {
    "pydensecrf": CRF(3, 3, 80, 13, 10, iterations=5),
    "irnet": CRF(3, 3, 50, 5, 10, iterations=10),  # and WSMIS
    "seam": CRF(3, 3, 80, 13, 10, iterations=10),
    "simplecrf-2d": CRF(3, 3, 80, 13, 10, iterations=5),
    "simplecrf-3d": CRF(5, 2, 5, 5, 3, iterations=2),
    "monai": CRF(5, 3, 5, 0.5, 3, iterations=5),  # intensities 0 ... 1; its weights of 1 times its update factor of 3
}


# A kernel matrix times values (batch, *space, channels).
Filter = Callable[[Tensor], Tensor]


def dense_crf(
    probabilities: Float[Tensor, "batch classes *space"],
    image: Float[Tensor, "batch channels *space"],
    crf: CRF = PRESETS["pydensecrf"],
    spacing_mm: Sequence[float] | None = None,
    region: Bool[Tensor, "batch 1 *space"] | None = None,
    compatibility: Float[Tensor, "classes classes"] | None = None,
) -> Float[Tensor, "batch classes *space"]:
    """Mean-field probabilities (Kraehenbuehl and Koltun 2011, algorithm 1).

    Q <- softmax(log p - sum_m mu w_m K_m Q), with K_m normalised to D^-1/2 K_m D^-1/2. As in the authors' library, and
    unlike the sum of their equation (3), a voxel's message to itself is part of K_m.

    Args:
        probabilities: p, at least 0, summing to 1 over the classes; clamped to 1e-5 from below.
        image: finite intensities. One channel is filtered by matrix products (error `crf.tolerance`), more of them
            on the permutohedral lattice.
        crf: sigmas and weights; `PRESETS` holds published ones by name.
        spacing_mm: of the grid, one per axis of space; default 1 (sigmas in pixels).
        region: voxels outside take no part, and their probabilities are returned unchanged.
        compatibility: mu, the penalty of labels (row) beside labels (column); None is Potts: 0 on the diagonal, else 1.

    Returns:
        Probabilities of the same shape and type. A single class stays 1. Gradients reach `probabilities`, not `image`.

    Raises:
        TypeError: an input that is not a tensor.
        ValueError: shapes that do not fit, other than 2 or 3 axes of space, or an image that is not finite.
    """
    require_tensors(probabilities=probabilities, image=image, region=region)
    spacing = _checked_spacing(probabilities, image, spacing_mm)
    if probabilities.shape[1] == 1 or crf.iterations == 0 or probabilities.numel() == 0:
        return probabilities.clone()
    with torch.autocast(probabilities.device.type, enabled=False):
        log_p = probabilities.float().movedim(1, -1).clamp_min(_FLOOR).log().contiguous()
        inside = None if region is None else region.movedim(1, -1).float()
        messages = [
            (weight, _normalised(kernel, log_p, inside))
            for weight, kernel in _kernels(image.detach().float(), crf, spacing)
        ]
        if probabilities.shape[1] == 2 and compatibility is None:
            refined = _mean_field_of_two(log_p, messages, crf.iterations)
        else:
            refined = _mean_field(log_p, messages, crf.iterations, compatibility)
        refined = refined.movedim(-1, 1).to(probabilities.dtype)
    return refined if region is None else torch.where(region, refined, probabilities)


def refine_map(
    activation_map: Float[Tensor, "batch 1 *space"],
    image: Float[Tensor, "batch 1 *space"],
    crf: CRF,
    spacing_mm: Sequence[float] | None = None,
    region: Bool[Tensor, "batch 1 *space"] | None = None,
) -> Float[Tensor, "batch 1 *space"]:
    """Dense CRF of lesion against background for a map in [0, 1]; returns the refined map (see `dense_crf`).

    Raises:
        TypeError: an input that is not a tensor.
        ValueError: as for `dense_crf`.
    """
    require_tensors(activation_map=activation_map)
    return dense_crf(torch.cat([1 - activation_map, activation_map], dim=1), image, crf, spacing_mm, region)[:, 1:]


def label_probabilities(labels: Tensor, classes: int, confidence: float = 0.7) -> Float[Tensor, "batch classes *space"]:
    """Hard labels as probabilities: `confidence` for the label, the rest shared evenly by the other classes.

    Args:
        labels: integers 0 ... classes - 1, (batch, *space).
        classes: at least 2.
        confidence: 0.7 in IRNet; between 1 / classes and 1.

    Raises:
        TypeError: labels that are not a tensor.
        ValueError: other than 2 or 3 axes of space.
    """
    require_tensors("(batch, *space)", labels=labels)
    one_hot = torch.nn.functional.one_hot(labels.long(), classes).movedim(-1, 1).float()
    rest = (1 - confidence) / (classes - 1)
    return rest + (confidence - rest) * one_hot


def _checked_spacing(probabilities: Tensor, image: Tensor, spacing_mm: Sequence[float] | None) -> tuple[float, ...]:
    axes = probabilities.dim() - 2
    if image.shape[:1] + image.shape[2:] != probabilities.shape[:1] + probabilities.shape[2:]:
        raise ValueError(
            f"image {tuple(image.shape)} and probabilities {tuple(probabilities.shape)} differ in batch or space"
        )
    if not torch.isfinite(image).all():
        raise ValueError("the image has voxels that are not finite")
    spacing = (1.0,) * axes if spacing_mm is None else tuple(float(s) for s in spacing_mm)
    if len(spacing) != axes or min(spacing) <= 0:
        raise ValueError(f"spacing_mm is {spacing}; expected {axes} numbers above 0")
    return spacing


def _kernels(image: Tensor, crf: CRF, spacing: tuple[float, ...]) -> list[tuple[float, Filter]]:
    """Weight and filter of the kernels that are switched on."""
    kernels: list[tuple[float, Filter]] = []
    if crf.smoothness_weight > 0:
        reaches = tuple(crf.smoothness_mm / step for step in spacing)
        kernels.append((crf.smoothness_weight, partial(gaussian_filter, sigmas=reaches, tolerance=crf.tolerance)))
    if crf.appearance_weight > 0:
        sigmas = tuple(crf.appearance_mm / step for step in spacing)
        if image.shape[1] == 1:
            kernels.append(
                (crf.appearance_weight, BilateralFilter(image, sigmas, crf.appearance_intensity, crf.tolerance))
            )
        elif min(crf.appearance_mm, crf.appearance_intensity) == 0:
            raise ValueError("an appearance sigma of 0 is defined for images of one channel only; give one above 0")
        else:
            kernels.append(
                (crf.appearance_weight, PermutohedralFilter(_features(image, sigmas, crf.appearance_intensity)))
            )
    return kernels


def _features(image: Tensor, sigmas: tuple[float, ...], sigma_intensity: float) -> Tensor:
    axes = [torch.arange(n, device=image.device) / sigma for n, sigma in zip(image.shape[2:], sigmas, strict=True)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(image.shape[0], -1, *image.shape[2:])
    return torch.cat([places, image / sigma_intensity], dim=1).flatten(2)


class _Filtered(torch.autograd.Function):
    """Filter with a symmetric kernel: the gradient passes through the same filter, and nothing is stored."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kernel: Filter) -> Tensor:
        """The filtered values."""
        ctx.kernel = kernel
        return kernel(values)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        """The gradient of the values, filtered in the same way; the kernel has none."""
        return ctx.kernel(grad_outputs[0].contiguous()), None


def _normalised(kernel: Filter, values: Tensor, inside: Tensor | None) -> Filter:
    """D^-1/2 K D^-1/2, D being the sum of each row of K over the region."""
    ones = torch.ones_like(values[..., :1]) if inside is None else inside
    # The diagonal of a Gaussian kernel is 1, so no row sums to less, except by rounding.
    least = 1e-6 if isinstance(kernel, PermutohedralFilter) else 1.0
    scale = kernel(ones.detach()).clamp_min(least).rsqrt_()
    scale = scale if inside is None else scale * inside

    def normalised(values: Tensor) -> Tensor:
        """The values, filtered with the normalised kernel."""
        return kernel(values * scale).mul_(scale)

    return lambda values: cast("Tensor", _Filtered.apply(values, normalised))


def _mean_field_of_two(log_p: Tensor, messages: list[tuple[float, Filter]], iterations: int) -> Tensor:
    """Mean field of two classes, with one message: the difference of both beliefs, tanh(logit / 2)."""
    margin = log_p[..., 1:] - log_p[..., :1]
    logit = margin
    for _ in range(iterations):
        difference = torch.tanh(logit / 2)
        logit = margin
        for weight, message in messages:
            logit = torch.add(logit, message(difference), alpha=weight)
    belief = torch.sigmoid(logit)
    return torch.cat([1 - belief, belief], dim=-1)


def _mean_field(
    log_p: Tensor, messages: list[tuple[float, Filter]], iterations: int, compatibility: Tensor | None
) -> Tensor:
    belief = torch.softmax(log_p, dim=-1)
    for _ in range(iterations):
        energy = log_p
        for weight, message in messages:
            passed = message(belief)
            # Potts: -(sum of the other classes) is the class's message up to a constant, which the softmax cancels
            energy = energy + weight * (passed if compatibility is None else -(passed @ compatibility.float().T))
        belief = torch.softmax(energy, dim=-1)
    return belief
