"""Vesselness against scikit-image, against the paper's formula voxel by voxel, and on tubes of known size."""

import numpy as np
import pytest
import torch
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from skimage.filters import frangi, gaussian

from weakmask.refinement import frangi as module
from weakmask.refinement.frangi import Gamma, vesselness

SHAPES = [(40, 33), (12, 25, 19)]


def picture(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Smooth noise: ridges, blobs and plates of either brightness."""
    return gaussian(np.random.default_rng(seed).normal(size=shape), 1.0)


def ours(image: np.ndarray, sigmas: tuple[float, ...], gamma: Gamma = "first", **options: object) -> np.ndarray:
    return vesselness(torch.from_numpy(image)[None, None], sigmas, gamma=gamma, **options)[0, 0].numpy()  # pyright: ignore[reportArgumentType]


def plain(image: np.ndarray, sigma: float, spacing: tuple[float, ...], gamma: float | None = None) -> np.ndarray:
    """Bright tubes at one scale, equations (10) to (15) for one voxel after the other."""
    axes = range(image.ndim)
    voxels = [sigma / step for step in spacing]
    entries = iter(hessian_matrix(image, voxels, mode="reflect", use_gaussian_derivatives=True))
    matrices = np.zeros((*image.shape, image.ndim, image.ndim))
    for i in axes:
        for j in range(i, image.ndim):
            matrices[..., i, j] = matrices[..., j, i] = next(entries) / (spacing[i] * spacing[j])
    eigenvalues = np.linalg.eigvalsh(matrices).reshape(-1, image.ndim)
    structure = np.sqrt((eigenvalues**2).sum(1))
    c = gamma or structure.max() / 2
    answers = []
    for row, s in zip(eigenvalues, structure, strict=True):
        small, *large = sorted(row, key=abs)
        if max(large) >= 0:
            answers.append(0.0)
            continue
        blob = abs(small) / (abs(large[0]) if len(large) == 1 else np.sqrt(large[0] * large[1]))
        line = 1.0 if len(large) == 1 else 1 - np.exp(-((large[0] / large[1]) ** 2) / 0.5)
        answers.append(line * np.exp(-(blob**2) / 0.5) * (1 - np.exp(-(s**2) / (2 * c**2))))
    return np.reshape(answers, image.shape)


def answered_on_wrong_signs(image: np.ndarray, sigmas: tuple[float, ...]) -> np.ndarray:
    """Where scikit-image answers although l2 or l3 has the wrong sign.

    It puts 1e-10 in their place and trusts that the blob's factor then underflows, which it does not beside a small l1.
    """
    wrong = np.zeros(image.shape, dtype=bool)
    for sigma in sigmas:
        entries = hessian_matrix(image, sigma, mode="reflect", use_gaussian_derivatives=True)
        found = hessian_matrix_eigvals(entries)
        small, *large = np.take_along_axis(found, np.abs(found).argsort(0), 0)
        clipped = np.maximum(large, 1e-10)
        blob = np.abs(small) / (clipped[0] if len(clipped) == 1 else np.sqrt(clipped[0] * clipped[1]))
        wrong |= (np.min(large, axis=0) < 0) & (blob < 6)
    return wrong


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("gamma", [None, 0.02])
def test_equals_scikit_image(shape: tuple[int, ...], dark: bool, gamma: float | None) -> None:
    image, sigmas = picture(shape), (1.0, 2.0, 3.5)
    theirs = frangi(image, sigmas, black_ridges=dark, gamma=gamma, alpha=0.4, beta=0.7)
    judged = ~answered_on_wrong_signs(image if dark else -image, sigmas)
    assert judged.mean() > 0.99
    options = {"dark": dark, "alpha_beta": (0.4, 0.7)}
    assert theirs.max() > 0.3
    np.testing.assert_allclose(ours(image, sigmas, gamma or "first", **options)[judged], theirs[judged], atol=1e-6)
    found = ours(image.astype(np.float32), sigmas, gamma or "first", **options)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[judged], theirs[judged], atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_plain_formula(shape: tuple[int, ...]) -> None:
    image, spacing = picture(shape), (2.0, 0.8, 0.7)[: len(shape)]
    scales = [plain(image, sigma, spacing) for sigma in (1.5, 3.0)]
    found = ours(image, (1.5, 3.0), "scale", spacing_mm=spacing)
    np.testing.assert_allclose(found, np.maximum(*scales), atol=1e-6)
    first = plain(image, 3.0, spacing)
    np.testing.assert_allclose(ours(image, (3.0,), "first", spacing_mm=spacing), first, atol=1e-6)


def test_the_wrong_brightness_is_exactly_zero() -> None:
    """A straight dark tube: scikit-image clips eigenvalues and finds something where the smallest is 0."""
    y, x = np.indices((21, 21)) - 10
    image = np.tile(1 - np.exp(-(y**2 + x**2) / 8.0), (15, 1, 1))
    inner = (slice(None), slice(7, 14), slice(7, 14))
    assert (ours(image, (2.0,))[inner] == 0).all()
    assert ours(image, (2.0,), dark=True)[inner].max() > 0.7


@pytest.mark.parametrize("spacing", [4.5, 5.3, 6.0])
def test_scales_far_below_a_voxel_give_numbers(spacing: float) -> None:
    """There the squares of derivatives leave the range of float32."""
    image = np.random.default_rng(0).random((20, 20, 20)).astype(np.float32).round(1)
    found = ours(image, (1.0,), spacing_mm=(spacing,) * 3)
    assert np.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1


def test_a_region_is_judged_by_itself() -> None:
    image = picture((12, 25, 19))
    image[0] *= 50
    region = np.zeros(image.shape, dtype=bool)
    region[6:, 3:20] = True
    found = ours(image, (1.0,), region=torch.from_numpy(region)[None, None])
    assert (found[~region] == 0).all()
    whole = ours(image, (1.0,))
    assert found[region].max() > 10 * whole[region].max()
    unlimited = ours(image, (1.0,), gamma=0.01)
    limited = ours(image, (1.0,), gamma=0.01, region=torch.from_numpy(region)[None, None])
    np.testing.assert_array_equal(limited[region], unlimited[region])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_slabs_chunks_and_batches_change_nothing(
    shape: tuple[int, ...], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.stack([picture(shape, seed) * (1 + seed) for seed in range(3)])
    singles = np.stack([ours(image, (1.0, 2.0), "scale") for image in images])
    monkeypatch.setattr(module, "_SLAB", {"cpu": 3 * images[0, 0].size})
    monkeypatch.setattr(module, "_CHUNK", 100)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    batch = torch.from_numpy(images)[:, None].transpose(-1, -2).contiguous().transpose(-1, -2)
    found = vesselness(batch, (1.0, 2.0))
    torch.set_num_threads(before)
    np.testing.assert_allclose(found[:, 0].numpy(), singles, atol=1e-12)


def oblique_tube(radius: float, spacing: tuple[float, ...]) -> np.ndarray:
    """Of brightness 1 in a block of 20 mm, through its central voxel."""
    z, y, x = (np.arange(-round(10 / s), round(10 / s) + 1) * s for s in spacing)
    across, aside = 0.6 * x - 0.8 * z[:, None, None], y[:, None]
    return np.clip((radius - np.sqrt(across**2 + aside**2)) / 0.5 + 0.5, 0, 1)


def at_centre(image: np.ndarray, sigma: float, spacing: tuple[float, ...]) -> float:
    """With derivatives normalised by the scale."""
    return ours(image * sigma**2, (sigma,), 0.5, spacing_mm=spacing)[tuple(n // 2 for n in image.shape)]


@pytest.mark.parametrize("radius", [1.5, 2.5])
def test_a_tube_answers_strongest_at_its_own_scale(radius: float) -> None:
    spacing = (0.5, 0.5, 0.5)
    image = oblique_tube(radius, spacing)
    answers = [at_centre(image, radius * factor, spacing) for factor in (0.4, 0.55, 0.71, 0.95, 1.3)]
    assert np.argmax(answers) == 2


def test_millimetres_count_and_not_voxels() -> None:
    fine, coarse = (0.5, 0.5, 0.5), (1.25, 0.5, 0.8)
    answers = [at_centre(oblique_tube(2.5, spacing), 2.0, spacing) for spacing in (fine, coarse)]
    assert answers[0] > 0.3
    assert answers[1] == pytest.approx(answers[0], rel=0.05)


def test_constant_images_and_faint_ones() -> None:
    assert (ours(np.full((9, 8, 7), 3.3, np.float32), (1.0,)) == 0).all()
    assert (ours(np.zeros((9, 8), np.float32), (1.0, 2.0)) == 0).all()
    image = picture((12, 25, 19)).astype(np.float32)
    np.testing.assert_allclose(ours(image * 1e-9, (1.5,)), ours(image, (1.5,)), atol=1e-3)


def test_faults(unchecked_types: None) -> None:
    image = torch.zeros(1, 1, 5, 6)
    for wrong in ({"sigmas_mm": ()}, {"sigmas_mm": (0.0,)}, {"spacing_mm": (1.0,)}, {"spacing_mm": (1.0, 0.0)}):
        with pytest.raises(ValueError, match="spacing_mm"):
            vesselness(image, **{"sigmas_mm": (1.0,), **wrong})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="not finite"):
        vesselness(image + torch.nan, (1.0,))
    with pytest.raises(ValueError, match="region"):
        vesselness(image, (1.0,), region=torch.ones(1, 1, 5, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="axes"):
        vesselness(torch.zeros(1, 1, 5), (1.0,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gives_the_same() -> None:
    image = torch.from_numpy(picture((12, 25, 19)).astype(np.float32))[None, None]
    on_gpu = vesselness(image.cuda(), (1.0, 2.0)).cpu()
    torch.testing.assert_close(on_gpu, vesselness(image, (1.0, 2.0)), atol=1e-4, rtol=0)
