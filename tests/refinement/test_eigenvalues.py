"""Eigenvalues in closed form against LAPACK, one matrix after the other."""

import numpy as np
import pytest
import torch

from weakmask.refinement.eigenvalues import symmetric_eigenvalues


def symmetric(count: int, side: int, seed: int = 0) -> np.ndarray:
    matrices = np.random.default_rng(seed).normal(size=(count, side, side))
    return matrices + matrices.transpose(0, 2, 1)


def with_eigenvalues(values: tuple[float, ...], count: int = 50) -> np.ndarray:
    """Randomly turned matrices that all have these eigenvalues."""
    turns = np.linalg.qr(np.random.default_rng(1).normal(size=(count, len(values), len(values))))[0]
    return np.einsum("nij,j,nkj->nik", turns, values, turns)


def ours(matrices: np.ndarray, dtype: torch.dtype = torch.float64) -> np.ndarray:
    rows, columns = np.triu_indices(matrices.shape[-1])
    entries = torch.from_numpy(np.ascontiguousarray(matrices[:, rows, columns].T)).to(dtype)
    before = entries.clone()
    values = torch.stack(symmetric_eigenvalues(entries), dim=1)
    assert torch.equal(entries, before)
    return values.double().numpy()


@pytest.mark.parametrize("side", [2, 3])
def test_random_matrices(side: int) -> None:
    matrices = symmetric(2000, side)
    np.testing.assert_allclose(ours(matrices), np.linalg.eigvalsh(matrices), atol=1e-7)
    np.testing.assert_allclose(ours(matrices, torch.float32), np.linalg.eigvalsh(matrices), atol=5e-3)
    assert np.median(np.abs(ours(matrices, torch.float32) - np.linalg.eigvalsh(matrices))) < 1e-6


@pytest.mark.parametrize(
    "values",
    [(0, 0), (-2, -2), (-1, 3), (0, 0, 0), (5, 5, 5), (-1, 2, 2), (-3, -3, 1), (0, 0, 1), (0, 1, 1), (1, 1, 1.0001)],
)
def test_eigenvalues_that_coincide(values: tuple[float, ...]) -> None:
    matrices = with_eigenvalues(values)
    np.testing.assert_allclose(ours(matrices), np.tile(values, (50, 1)), atol=1e-7)
    np.testing.assert_allclose(ours(matrices, torch.float32), np.tile(values, (50, 1)), atol=4e-3)


@pytest.mark.parametrize("scale", [1e-25, 1e-18, 1e-9, 1e9, 1e15])
def test_any_scale(scale: float) -> None:
    matrices = symmetric(200, 3) * scale
    found = ours(matrices, torch.float32)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found / scale, np.linalg.eigvalsh(matrices) / scale, atol=20 if scale < 1e-20 else 5e-3)


def test_multiples_of_the_identity_are_exact() -> None:
    for value in (0.0, -3.7, 1e-30):
        found = ours(np.eye(3)[None] * value, torch.float32)
        np.testing.assert_allclose(found, np.float32(value), rtol=1e-6)
