"""The lobe table: hard scans are what they say, rows are resumable, and the table holds them all."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.experiments import lobe_rows, lobes
from weakmask.experiments.lobe_rows import NOISE_HU, PRESETS, Preset, with_noise, with_thick_slices
from weakmask.experiments.parallel_runs import Task
from weakmask.methods.lobes.config import DataSettings, FrameSettings, NetworkSettings, SegmentationSettings
from weakmask.methods.lobes.scans import phantom_scan
from weakmask.volume.volume import Volume

TINY = Preset(
    data=DataSettings(phantoms=3, phantom_spacing_mm=7.5, validation=0.34),
    prepare=FrameSettings(shape=(16, 16, 24), frame="lungs", outside="blank"),
    segmentation=SegmentationSettings(steps=1, batch=1),
    networks={
        "unet": NetworkSettings(name="unet", width=2),
        "pdv": NetworkSettings(kernels=2, growth=(1, 1, 1), layers=(1, 1, 1), dropout=0.0),
    },
    test_scans=1,
)


class EndedError(Exception):
    """In the place of a training."""


@pytest.fixture(scope="module")
def phantom() -> tuple[Volume, Volume]:
    return phantom_scan(1, (40, 35, 40), (7.5, 7.5, 7.5))


def test_noise_is_of_the_size_it_says(phantom: tuple[Volume, Volume]) -> None:
    image, lobes_ = with_noise(*phantom, seed=0)
    assert (image.voxels.astype(float) - phantom[0].voxels).std() == pytest.approx(NOISE_HU, rel=0.02)
    assert lobes_ is phantom[1]
    assert np.array_equal(image.voxels, with_noise(*phantom, seed=0)[0].voxels)


def test_thick_slices_are_means_and_stay_in_place() -> None:
    image, truth = phantom_scan(1, (41, 20, 24), (2.5, 12.0, 12.0))
    thick, labels = with_thick_slices(image, truth, seed=0)
    assert thick.geometry.shape == (20, 20, 24)
    assert thick.geometry.spacing_mm == pytest.approx((5.0, 12.0, 12.0))
    assert np.abs(thick.voxels[3] - image.voxels[6:8].mean(axis=0)).max() <= 0.5
    middle = (image.geometry.affine @ [6.5, 0, 0, 1])[0]
    assert (thick.geometry.affine @ [3, 0, 0, 1])[0] == pytest.approx(middle)
    assert labels.geometry is thick.geometry


def test_rows_are_trained_once_and_the_table_holds_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(lobe_rows.PRESETS, "tiny", TINY)
    first = lobes.reproduce(tmp_path, "tiny", ["pdv"], seeds=1, jobs=1)
    assert list(first["subset"]) == ["healthy", "lesions", "noise", "thick slices", "all"]
    assert first["mean"].between(0, 1).all()
    mark = (tmp_path / "rows" / "pdv" / "seed-0" / "results.csv").stat().st_mtime_ns
    both = lobes.reproduce(tmp_path, "tiny", ["unet", "pdv"], seeds=1, jobs=2)
    assert (tmp_path / "rows" / "pdv" / "seed-0" / "results.csv").stat().st_mtime_ns == mark
    assert list(dict.fromkeys(both["row"])) == ["2-D U-Net", "PDV-Net"]
    written = pd.read_csv(tmp_path / "lobes.csv")
    assert len(written) == 10
    assert {"LUL", "RML", "seconds_per_scan", "parameters", "seed"} <= set(written.columns)
    assert "PDV-Net" in (tmp_path / "report.html").read_text(encoding="utf-8")
    results = tmp_path / "rows" / "pdv" / "seed-0" / "results.csv"
    pd.read_csv(results).drop(columns="network_alone").to_csv(results, index=False)  # as before it was told
    assert list(lobes.reproduce(tmp_path, "tiny", ["unet"], seeds=1, jobs=1)["row"].unique()) == ["2-D U-Net"]
    assert len(lobes.reproduce(tmp_path, "tiny", ["pdv"], seeds=1, jobs=1)) == 10


def test_a_row_that_is_named_twice_is_trained_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(lobe_rows.PRESETS, "tiny", TINY)
    names: list[str] = []

    def stop(tasks: list[Task], jobs: int) -> None:
        names.extend(task.name for task in tasks)
        raise EndedError

    monkeypatch.setattr(lobes, "side_by_side", stop)
    with pytest.raises(EndedError):
        lobes.reproduce(tmp_path, "tiny", ["pdv", "pdv"], seeds=1, jobs=2)
    assert names == ["PDV-Net, seed 0"]


def test_another_preset_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is made, whether a row of it is asked for that is there or another one."""
    monkeypatch.setitem(lobe_rows.PRESETS, "tiny", TINY)
    longer = replace(TINY, segmentation=SegmentationSettings(steps=2, batch=1))
    monkeypatch.setitem(lobe_rows.PRESETS, "longer", longer)
    monkeypatch.setitem(lobe_rows.PRESETS, "more", replace(TINY, data=TINY.data.model_copy(update={"phantoms": 4})))
    lobes.reproduce(tmp_path, "tiny", ["pdv"], seeds=1, jobs=1)
    for row in ("pdv", "unet"):
        with pytest.raises(
            UserError, match=r"pdv/seed-0 holds a run with other settings: segmentation.steps \(1 there"
        ):
            lobes.reproduce(tmp_path, "longer", [row], seeds=1, jobs=1)
    shutil.rmtree(tmp_path / "rows")
    with pytest.raises(UserError, match=r"scans was made with other settings"):
        lobes.reproduce(tmp_path, "more", ["unet"], seeds=1, jobs=1)
    assert not (tmp_path / "rows").exists()
    assert sorted(folder.name for folder in tmp_path.glob("test-*")) == ["test-tiny"]


def test_unknown_presets_and_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown preset 'fast'; expected one of quick, paper"):
        lobes.reproduce(tmp_path, "fast", None, seeds=1)
    with pytest.raises(UserError, match="unknown row 'resnet'"):
        lobes.reproduce(tmp_path, "quick", ["resnet"], seeds=1)


def test_the_paper_preset_has_the_papers_numbers() -> None:
    settings = PRESETS["paper"].settings("pdv", 0)
    assert settings.prepare == FrameSettings()
    assert settings.segmentation.learning_rate == 0.01
    assert settings.segmentation.weight_decay == 1e-7
    assert PRESETS["paper"].networks["vnet"].width == 16
