"""Hessian (second derivatives) of a smoothed image, computed in slabs."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from weakmask.refinement.gaussian_derivatives import AxisDerivatives, axis_derivatives


class HessianFilter:
    """Hessian of an image smoothed with a Gaussian.

    Each entry is two Gaussian derivatives of order one at sigma / sqrt(2), one after the other, as in scikit-image's
    `hessian_matrix(use_gaussian_derivatives=True)`, with its reflecting border. The derivatives are separable; each
    product with the matrix of an axis rotates the axes by one, so that all products are large matrix products.
    """

    def __init__(self, image: Tensor, sigma_mm: float, spacing_mm: Sequence[float]) -> None:
        """Prepare a filter for 2-D or 3-D images of the shape, type and device of `image`; sigma above 0."""
        self._axes = [
            axis_derivatives(length, sigma_mm, step, image.device, image.dtype)
            for length, step in zip(image.shape, spacing_mm, strict=True)
        ]

    def __call__(self, image: Tensor, rows: slice) -> Float[Tensor, "entries voxels"]:
        """Entries of the Hessian's upper triangle, row by row, for the slab `rows` of the first axis, per mm^2.

        Voxels are in the order of `image[rows].movedim(0, -1)`.
        """
        first, *others = self._axes
        fronts = first.from_front(image, ("dd", "dg", "gg"), rows)
        if image.dim() == 2:
            entries = [(fronts[0], "gg"), (fronts[1], "gd"), (fronts[2], "dd")]
        else:
            entries = self._along_last(fronts, others[1])
        depth, length = rows.stop - rows.start, image.shape[1]
        result = image.new_empty(len(entries), length, *image.shape[2:], depth)
        for (values, name), out in zip(entries, result, strict=True):
            others[0].from_back(values, name, out)
        return result.flatten(1)

    def _along_last(self, fronts: Tensor, axis: AxisDerivatives) -> list[tuple[Tensor, str]]:
        asked = [(0, "gg", "gg"), (1, "gg", "gd"), (1, "gd", "gg"), (2, "gg", "dd"), (2, "gd", "dg"), (2, "dd", "gg")]
        results = fronts.new_empty(6, fronts.shape[-1], *fronts.shape[1:-1])
        for (front, name, _), out in zip(asked, results, strict=True):
            axis.from_back(fronts[front], name, out)
        return [(result, name) for result, (_, _, name) in zip(results, asked, strict=True)]
