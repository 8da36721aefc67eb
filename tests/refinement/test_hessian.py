"""The Hessian of slabs against scikit-image's of the whole image."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from skimage.feature import hessian_matrix

from weakmask.refinement.hessian import HessianFilter


def ours(image: np.ndarray, sigma: float, spacing: tuple[float, ...], depth: int, dtype: torch.dtype) -> np.ndarray:
    values = torch.from_numpy(image).to(dtype)
    hessian = HessianFilter(values, sigma, spacing)
    slabs = []
    for start in range(0, len(image), depth):
        rows = slice(start, min(start + depth, len(image)))
        entries = hessian(values, rows)
        turned = entries.view(len(entries), *image.shape[1:], rows.stop - rows.start)
        slabs.append(turned.movedim(-1, 1))
    return torch.cat(slabs, dim=1).numpy()


@pytest.mark.parametrize("shape", [(40, 23), (50, 9, 21), (3, 45, 2)])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_equals_that_of_scikit_image(shape: tuple[int, ...], sigma: float) -> None:
    image = np.random.default_rng(0).normal(size=shape)
    theirs = np.stack(hessian_matrix(image, sigma, mode="reflect", use_gaussian_derivatives=True))
    unit = (1.0,) * len(shape)
    np.testing.assert_allclose(ours(image, sigma, unit, 7, torch.float64), theirs, atol=1e-13)
    np.testing.assert_allclose(ours(image, sigma, unit, 7, torch.float32), theirs, atol=1e-5)


def test_spacing_stretches_the_kernels_and_scales_the_derivatives() -> None:
    image = np.random.default_rng(0).normal(size=(12, 20, 30))
    spacing = (2.5, 0.8, 0.7)
    voxels = [3.0 / step for step in spacing]
    theirs = hessian_matrix(image, voxels, mode="reflect", use_gaussian_derivatives=True)
    pairs = combinations_with_replacement(spacing, 2)
    expected = np.stack([entry / (a * b) for entry, (a, b) in zip(theirs, pairs, strict=True)])
    np.testing.assert_allclose(ours(image, 3.0, spacing, 5, torch.float64), expected, atol=1e-10)


def test_the_curvature_of_a_parabola() -> None:
    y, x = np.meshgrid(np.arange(160) * 0.5, np.arange(40) * 2.0, indexing="ij")
    found = ours(0.5 * (3 * y**2 + 4 * y * x - x**2), 4.0, (0.5, 2.0), 160, torch.float64)[:, 80, 20]
    np.testing.assert_allclose(found, [3, 2, -1], rtol=1e-3)
