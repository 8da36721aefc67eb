"""Sections interpolated from their neighbours lose noise and keep structure; a stopped training goes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from weakmask.methods.mitochondria import interpolation
from weakmask.methods.mitochondria.config import DenoiseSettings, MitochondriaSettings
from weakmask.methods.mitochondria.denoise import denoise, denoise_training, denoised, grey_file
from weakmask.methods.mitochondria.interpolation import (
    SectionPatches,
    interpolated,
    interpolated_sections,
    neighbours_of,
    train_on_stack,
)
from weakmask.methods.mitochondria.stack_index import StackRow, image_file, write_index
from weakmask.pipeline import Work
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.volume import Volume

SMALL = DenoiseSettings(method="interpolation", kernel=3, width=2, patch=24, batch=4, steps=20, learning_rate=0.01)


def clean_and_noisy() -> tuple[np.ndarray, np.ndarray]:
    """A stack of discs that move by a pixel from section to section, and the same with noise."""
    y, x = np.mgrid[:40, :48]
    clean = np.stack([200 - 120 * ((y - 20) ** 2 + (x - 18 - z) ** 2 < 100) for z in range(8)]).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    return clean, np.rint(np.clip(clean + noise, 0, 255)).astype(np.uint8)


def test_each_kernel_filters_its_own_section() -> None:
    pair = torch.rand(1, 2, 6, 7)
    logits = torch.full((1, 18, 6, 7), -40.0)
    logits[:, 4], logits[:, 9 + 5] = 0.0, 0.0  # the middle of the first kernel, the right neighbour in the second
    right = torch.cat([pair[:, 1, :, 1:], pair[:, 1, :, -1:]], dim=2)
    assert torch.allclose(interpolated(logits, pair), (pair[:, 0] + right) / 2, atol=1e-5)


def test_any_kernels_keep_a_uniform_grey_value() -> None:
    found = interpolated(torch.randn(2, 50, 5, 6), torch.full((2, 2, 5, 6), 0.4))
    assert torch.allclose(found, torch.full((2, 5, 6), 0.4))


def test_ends_of_a_stack_have_one_neighbour() -> None:
    stack = np.zeros((3, 2, 2), np.uint8)
    assert [neighbours_of(stack, number) for number in range(3)] == [(1, 1), (0, 2), (1, 1)]


def test_patches_hold_the_section_between_its_neighbours() -> None:
    stack = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 20, 20), np.uint8) * 10
    batch = SectionPatches(stack, SMALL, 0)(0)
    assert batch["neighbours"].shape == (4, 2, 24, 24)
    between, numbers = (
        10 * batch[name].mean(dim=dims) * 2.55 for name, dims in (("neighbours", (1, 2, 3)), ("section", (1, 2)))
    )
    expected = [{0: 1, 4: 3}.get(round(number), number) for number in numbers.tolist()]
    assert between.tolist() == pytest.approx(expected, abs=1e-4)
    again = SectionPatches(stack, SMALL, 0)(0)
    assert torch.equal(again["section"], batch["section"])


@pytest.mark.parametrize("method", ["gaussian", "interpolation"])
def test_noise_goes_and_structure_stays(method: str) -> None:
    clean, noisy = clean_and_noisy()
    settings = SMALL.model_copy(update={"method": method})
    found = np.asarray(denoised(noisy, settings, 0, "cpu"))
    assert found.dtype == np.uint8
    before, after = (np.abs(one - clean).mean() for one in (noisy.astype(np.float32), found.astype(np.float32)))
    assert after < 0.75 * before
    assert np.corrcoef(found.ravel(), clean.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("method", ["gaussian", "interpolation"])
def test_slabs_change_nothing(method: str) -> None:
    _, noisy = clean_and_noisy()
    settings = SMALL.model_copy(update={"method": method, "steps": 2})
    whole, slabs = (np.asarray(denoised(noisy, settings, 0, "cpu", slab_voxels=size)) for size in (1 << 24, 1))
    assert np.array_equal(whole, slabs)
    assert not np.array_equal(whole, noisy)


def test_a_single_section_and_no_method_change_nothing() -> None:
    _, noisy = clean_and_noisy()
    assert np.array_equal(denoised(noisy[:1], SMALL, 0, "cpu"), noisy[:1])
    assert np.array_equal(denoised(noisy, DenoiseSettings(), 0, "cpu"), noisy)


def test_a_stopped_training_ends_with_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, noisy = clean_and_noisy()
    settings = SMALL.model_copy(update={"steps": 10})
    whole = train_on_stack(noisy, settings, 0, "cpu", tmp_path / "whole")
    own = interpolation._objective

    def stopped(network: Any, batch: Any, step: int) -> Any:
        if step == 7:
            raise KeyboardInterrupt
        return own(network, batch, step)

    with monkeypatch.context() as patch:
        patch.setattr(interpolation, "_objective", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_on_stack(noisy, settings, 0, "cpu", tmp_path / "stopped")
    assert (tmp_path / "stopped" / "checkpoint.safetensors").exists()
    again = train_on_stack(noisy, settings, 0, "cpu", tmp_path / "stopped")
    every = slice(0, len(noisy))
    assert np.array_equal(interpolated_sections(again, noisy, every), interpolated_sections(whole, noisy, every))


def test_stacks_to_test_on_lose_noise_and_training_stacks_stay(tmp_path: Path) -> None:
    _, noisy = clean_and_noisy()
    names = {"training": "a", "test": "b"}
    rows = [
        StackRow(scan, scan, part, 8, 0, 0, 40, 48, 1, z_nm=30.0, y_nm=8.0, x_nm=8.0, instances=1, foreground=0.1)
        for part, scan in names.items()
    ]
    prepared = tmp_path / "01-prepare"
    for row in rows:
        (prepared / row.part).mkdir(parents=True)
        write_volume(Volume.from_array(noisy, (30e-6, 8e-6, 8e-6)), image_file(prepared, row))
    write_index(rows, prepared)
    config = MitochondriaSettings.model_validate({"data": {"cohort": "c"}, "denoise": {"method": "gaussian"}})
    for number, run_stage in ((2, denoise_training), (4, denoise)):
        folder = tmp_path / f"0{number}-{run_stage.__name__}"
        folder.mkdir()
        run_stage(Work(tmp_path, folder, config))
    work = Work(tmp_path, tmp_path / "05-probabilities", config)
    assert grey_file(work, rows[0]) == image_file(prepared, rows[0])
    found = read_volume(grey_file(work, rows[1])).voxels
    assert np.array_equal(found, denoised(noisy, config.denoise, 0, "cpu"))
    assert not np.array_equal(found, noisy)
