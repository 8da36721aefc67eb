"""The fast mean field against all pairs of voxels, and its edges."""

import dataclasses
import sys

import pytest
import torch
from torch import Tensor

from weakmask.refinement import CRF, PRESETS, dense_crf, label_probabilities, refine_map


def brute_force(
    p: Tensor,
    image: Tensor,
    crf: CRF,
    spacing: tuple[float, ...] | None = None,
    region: Tensor | None = None,
    compatibility: Tensor | None = None,
) -> Tensor:
    """Algorithm 1 with every pair, one sample at a time, in double precision."""
    spacing = spacing or (1.0,) * (p.dim() - 2)
    axes = [torch.arange(n, dtype=torch.float64) * s for n, s in zip(p.shape[2:], spacing, strict=True)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    results = []
    for sample in range(len(p)):
        inside = torch.ones(places.shape[1]) if region is None else region[sample].flatten().double()
        log_p = p[sample].flatten(1).double().clamp_min(1e-5).log()
        looks = torch.cat([places / crf.appearance_mm, image[sample].flatten(1).double() / crf.appearance_intensity])
        total = torch.zeros(1, dtype=torch.float64)
        for features, weight in ((places / crf.smoothness_mm, crf.smoothness_weight), (looks, crf.appearance_weight)):
            pairs = torch.exp(-0.5 * torch.cdist(features.T, features.T) ** 2) * inside * inside[:, None]
            scale = inside / pairs.sum(1).clamp_min(1e-12).sqrt()
            total = total + weight * scale[:, None] * pairs * scale
        belief = log_p.softmax(0)
        for _ in range(crf.iterations):
            passed = belief @ total
            belief = (log_p + (passed if compatibility is None else -(compatibility.double() @ passed))).softmax(0)
        results.append(torch.where(inside > 0, belief, p[sample].flatten(1).double()).view(p[sample].shape))
    return torch.stack(results).float()


def lesion(shape: tuple[int, ...], classes: int = 2, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Noisy levels, two samples, and what an unsure network says of them."""
    random = torch.Generator().manual_seed(len(shape) + classes)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in shape], indexing="ij")
    distance = torch.stack(axes).square().sum(0).sqrt()
    labels = (distance * classes).long().clamp(max=classes - 1).expand(2, *shape)
    image = 60 + 40.0 * labels[:, None] + 10 * torch.randn(2, channels, *shape, generator=random)
    p = torch.nn.functional.one_hot(labels, classes).movedim(-1, 1) + 2 * torch.rand(
        2, classes, *shape, generator=random
    )
    return p / p.sum(1, keepdim=True), image


@pytest.mark.parametrize("shape", [(21, 26), (7, 10, 9)])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("crf", [CRF(3, 3, 80, 13, 10), CRF(1.5, 2, 4, 8, 5), CRF(2, 1, 6, 30, 4, iterations=10)])
def test_agrees_with_all_pairs(shape: tuple[int, ...], classes: int, crf: CRF) -> None:
    p, image = lesion(shape, classes)
    fast, truth = dense_crf(p, image, crf), brute_force(p, image, crf)
    assert (truth - p).abs().max() > 0.2  # it does something
    torch.testing.assert_close(fast, truth, atol=5e-3, rtol=0)
    assert (fast - truth).abs().mean() < 1e-4


@pytest.mark.parametrize("shape", [(40, 44), (10, 12, 13)])
def test_outliers_far_from_every_other_intensity_keep_their_own_message(shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    image = torch.full((1, 1, *shape), 60.0)
    odd = torch.rand(image.shape, generator=random) < 0.01
    image[odd] = 255 * torch.rand(int(odd.sum()), generator=random)
    lesions = torch.where(odd, 0.9, 0.2 + 0.3 * torch.rand(image.shape, generator=random))
    p = torch.cat([1 - lesions, lesions], dim=1)
    torch.testing.assert_close(dense_crf(p, image), brute_force(p, image, CRF()), atol=1e-2, rtol=0)


def test_long_axes_and_many_channels_take_other_ways_to_the_same_answer() -> None:
    p, image = lesion((3, 300), classes=9)
    crf = CRF(2, 3, 5, 20, 4, iterations=3)
    torch.testing.assert_close(dense_crf(p, image, crf), brute_force(p, image, crf), atol=5e-3, rtol=0)
    few, image = lesion((3, 300), classes=2)
    torch.testing.assert_close(dense_crf(few, image, crf), brute_force(few, image, crf), atol=5e-3, rtol=0)


@pytest.mark.parametrize("shape", [(20, 24), (6, 9, 8)])
def test_colour_images_stay_within_the_lattice_error(shape: tuple[int, ...]) -> None:
    p, image = lesion(shape, 3, channels=3)
    crf = CRF(3, 3, 20, 30, 5, iterations=1)
    fast, truth = dense_crf(p, image, crf), brute_force(p, image, crf)
    assert (fast - truth).abs().max() < 0.08
    assert (fast - truth).abs().mean() < 0.01
    assert (fast.argmax(1) == truth.argmax(1)).float().mean() > 0.99


def test_volumes_too_large_to_keep_everything_agree_with_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    p, image = lesion((7, 10, 9))
    kept = dense_crf(p, image)
    monkeypatch.setattr(sys.modules["weakmask.refinement.bilateral_filter"], "_KEPT_BYTES", 0)
    torch.testing.assert_close(dense_crf(p, image), kept, atol=1e-6, rtol=0)


def test_samples_of_a_batch_do_not_meet() -> None:
    for channels in (1, 3):
        p, image = lesion((18, 22), 3, channels)
        together = dense_crf(p, image, PRESETS["irnet"])
        apart = torch.cat([dense_crf(p[i : i + 1], image[i : i + 1], PRESETS["irnet"]) for i in range(2)])
        torch.testing.assert_close(together, apart, atol=5e-3, rtol=0)


def test_sigmas_are_in_millimetres() -> None:
    p, image = lesion((8, 9, 10))
    crf, spacing = CRF(4, 3, 9, 13, 6, iterations=3), (5.0, 0.7, 0.9)
    torch.testing.assert_close(
        dense_crf(p, image, crf, spacing), brute_force(p, image, crf, spacing), atol=5e-3, rtol=0
    )


def test_outside_the_region_nothing_is_sent_or_received() -> None:
    p, image = lesion((20, 24))
    region = torch.zeros(2, 1, 20, 24, dtype=torch.bool)
    region[0, :, 4:15, 3:20] = True  # and none at all in the second sample
    crf = CRF(3, 3, 20, 20, 8)
    refined = dense_crf(p, image, crf, region=region)
    torch.testing.assert_close(refined, brute_force(p, image, crf, region=region), atol=5e-3, rtol=0)
    outside = ~region.expand_as(p)
    assert torch.equal(refined[outside], p[outside])
    changed = torch.where(region, image, torch.full_like(image, 999.0))
    torch.testing.assert_close(dense_crf(p, changed, crf, region=region), refined, atol=5e-3, rtol=0)


def test_compatibility_replaces_potts() -> None:
    p, image = lesion((16, 18), 3)
    crf = CRF(2, 2, 10, 20, 4, iterations=4)
    potts = 1 - torch.eye(3)
    torch.testing.assert_close(
        dense_crf(p, image, crf, compatibility=potts), dense_crf(p, image, crf), atol=1e-4, rtol=0
    )
    far = torch.tensor([[0.0, 1, 3], [1, 0, 1], [3, 1, 0]])
    torch.testing.assert_close(
        dense_crf(p, image, crf, compatibility=far), brute_force(p, image, crf, compatibility=far), atol=5e-3, rtol=0
    )


def test_a_smoothness_of_no_reach_sends_to_itself() -> None:
    p, image = lesion((9, 11))
    alone = dense_crf(p, image, CRF(0, 2, 1, 1, 0, iterations=1))
    torch.testing.assert_close(alone, (p.clamp_min(1e-5).log() + 2 * p).softmax(1))


def test_an_appearance_of_no_reach_couples_equal_intensities_only() -> None:
    p, _ = lesion((9, 11))
    image = torch.arange(9 * 11).view(1, 1, 9, 11).expand(2, -1, -1, -1) % 2 * 5.0
    crf = CRF(1, 0, 1e6, 0, 3, iterations=1)
    odd = image[0, 0] > 0
    mean = torch.stack([p[..., odd].mean(-1), p[..., ~odd].mean(-1)], -1)  # every pair of its kind weighs 1 / n
    message = torch.where(image > 0, mean[..., :1, None], mean[..., 1:, None])
    torch.testing.assert_close(dense_crf(p, image, crf), (p.log() + 3 * message).softmax(1), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="couples equal intensities only"):
        dense_crf(torch.full((1, 2, 20, 20), 0.5), torch.rand(1, 1, 20, 20), crf)


def test_a_constant_image_leaves_the_gaussian_of_space() -> None:
    p, _ = lesion((12, 13))
    flat = torch.full((2, 1, 12, 13), 7.0)
    as_smoothness = dense_crf(p, flat, CRF(5, 4, 1, 1, 0))
    torch.testing.assert_close(dense_crf(p, flat, CRF(1, 0, 5, 1, 4)), as_smoothness, atol=2e-3, rtol=0)


def test_one_class_no_iterations_and_no_kernels_change_nothing() -> None:
    p, image = lesion((6, 7))
    assert torch.equal(dense_crf(torch.ones(2, 1, 6, 7), image), torch.ones(2, 1, 6, 7))
    assert torch.equal(dense_crf(p, image, CRF(iterations=0)), p)
    off = CRF(smoothness_weight=0, appearance_weight=0)
    torch.testing.assert_close(dense_crf(p, image, off), p, atol=1e-4, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_that_of_all_pairs(channels: int) -> None:
    p, image = lesion((8, 9), 2, channels)
    crf = CRF(2, 2, 6, 40, 3, iterations=2)
    target = torch.rand(p.shape, generator=torch.Generator().manual_seed(3))
    gradients = []
    for run in (dense_crf, brute_force):
        leaf = p.clone().requires_grad_()
        (run(leaf, image, crf) * target).sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    assert gradients[1].abs().max() > 0.1
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-3 if channels == 1 else 0.1, rtol=0.05)


def test_types_and_autocast() -> None:
    p, image = lesion((10, 11))
    half = dense_crf(p.bfloat16(), image.bfloat16())
    assert half.dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(dense_crf(p, image), dense_crf(p, image, PRESETS["pydensecrf"]))


def test_refine_map_is_the_lesion_of_two_classes() -> None:
    p, image = lesion((10, 11))
    torch.testing.assert_close(refine_map(p[:, 1:], image, CRF()), dense_crf(p, image, CRF())[:, 1:])


def test_labels_become_probabilities() -> None:
    p = label_probabilities(torch.tensor([[[0, 2]]]), 3, confidence=0.7)
    torch.testing.assert_close(p[0, :, 0].T, torch.tensor([[0.7, 0.15, 0.15], [0.15, 0.15, 0.7]]))


def test_presets_scale_with_the_intensities() -> None:
    p, image = lesion((10, 11))
    preset = PRESETS["seam"]
    torch.testing.assert_close(
        dense_crf(p, image / 255, preset.for_intensities(1 / 255)), dense_crf(p, image, preset), atol=2e-3, rtol=0
    )
    assert all(isinstance(crf, CRF) for crf in PRESETS.values())


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(CRF)])
def test_numbers_without_meaning_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        CRF(**{field: -1})


@pytest.mark.usefixtures("unchecked_types")
def test_shapes_that_do_not_fit_are_refused() -> None:
    p, image = lesion((10, 11))
    with pytest.raises(ValueError, match="differ in batch or space"):
        dense_crf(p, image[..., :5])
    with pytest.raises(ValueError, match="expected 2 numbers above 0"):
        dense_crf(p, image, spacing_mm=(1, 2, 3))
    with pytest.raises(ValueError, match="not finite"):
        dense_crf(p, image * float("nan"))
    with pytest.raises(ValueError, match="with 2 or 3 axes of space"):
        dense_crf(p[..., 0], image[..., 0])
    with pytest.raises(ValueError, match="one channel only"):
        dense_crf(p, image.expand(-1, 3, -1, -1), CRF(appearance_intensity=0))
