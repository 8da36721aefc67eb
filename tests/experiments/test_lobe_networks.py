"""The table of lobe networks: rows are resumable, and the table holds them all."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.experiments.experiment import Experiment, Preset
from weakmask.experiments.lobe_networks import EXPERIMENT, PRESETS
from weakmask.experiments.run import Request, reproduce
from weakmask.methods.lobes.config import (
    DataSettings,
    FrameSettings,
    LobeSettings,
    NetworkSettings,
    SegmentationSettings,
)

SHARED = LobeSettings(
    data=DataSettings(phantoms=3, phantom_spacing_mm=7.5, validation=0.34),
    prepare=FrameSettings(shape=(16, 16, 24), frame="lungs", outside="blank"),
    segmentation=SegmentationSettings(steps=1, batch=1),
)
NETWORKS = {
    "unet": NetworkSettings(name="unet", width=2),
    "pdv": NetworkSettings(kernels=2, growth=(1, 1, 1), layers=(1, 1, 1), dropout=0.0),
}


def tiny(**changes: Settings) -> Preset:
    settings = {row: SHARED.model_copy(update={"network": network, **changes}) for row, network in NETWORKS.items()}
    return Preset(settings, test_scans=1, spacing_mm=(7.5, 7.5, 7.5))


TINY = replace(
    EXPERIMENT,
    presets={
        "tiny": tiny(),
        "longer": tiny(segmentation=SegmentationSettings(steps=2, batch=1)),
        "more": tiny(data=SHARED.data.model_copy(update={"phantoms": 4})),
    },
)


def table(experiment: Experiment, out: Path, rows: str, jobs: int = 1, preset: str = "tiny") -> pd.DataFrame:
    return reproduce(experiment, out, Request(rows=rows, seeds=1, jobs=jobs, preset=preset))


def test_rows_are_trained_once_and_the_table_holds_them(tmp_path: Path) -> None:
    first = table(TINY, tmp_path, "pdv")
    assert list(first["subset"]) == ["healthy", "lesions", "noise", "thick slices", "all"]
    assert first["mean"].between(0, 1).all()
    mark = (tmp_path / "rows" / "pdv" / "seed-0" / "results.csv").stat().st_mtime_ns
    both = table(TINY, tmp_path, "unet,pdv", jobs=2)
    assert (tmp_path / "rows" / "pdv" / "seed-0" / "results.csv").stat().st_mtime_ns == mark
    assert list(dict.fromkeys(both["row"])) == ["2-D U-Net", "PDV-Net"]
    written = pd.read_csv(tmp_path / "lobes.csv")
    assert len(written) == 10
    assert {"LUL", "RML", "seconds_per_scan", "parameters", "seed"} <= set(written.columns)
    assert "PDV-Net" in (tmp_path / "report.html").read_text(encoding="utf-8")
    # the scans to learn from are made once
    scans = [(tmp_path / "rows" / row / "seed-0" / "01-prepare" / "index.csv").stat().st_ino for row in ("unet", "pdv")]
    assert scans[0] == scans[1]
    results = tmp_path / "rows" / "pdv" / "seed-0" / "results.csv"
    pd.read_csv(results).drop(columns="network_alone").to_csv(results, index=False)  # as an earlier version wrote it
    assert list(table(TINY, tmp_path, "unet")["row"].unique()) == ["2-D U-Net"]
    assert len(table(TINY, tmp_path, "pdv")) == 10


def test_another_preset_is_refused(tmp_path: Path) -> None:
    """Before anything is made, whether the user asks for a row of it that exists or for another one."""
    table(TINY, tmp_path, "pdv")
    for row in ("pdv", "unet"):
        with pytest.raises(
            UserError, match=r"pdv/seed-0 holds a run with other settings: segmentation.steps \(1 there"
        ):
            table(TINY, tmp_path, row, preset="longer")
    with pytest.raises(UserError, match=r"other settings: data.phantoms \(3 there, 4 here\)"):
        table(TINY, tmp_path, "unet", preset="more")
    assert not (tmp_path / "rows" / "unet").exists()
    assert sorted(folder.name for folder in tmp_path.glob("test-*")) == ["test-tiny"]


def test_unknown_presets_and_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown preset 'fast'; expected one of quick, paper"):
        reproduce(EXPERIMENT, tmp_path, Request(preset="fast"))
    with pytest.raises(UserError, match="unknown row 'resnet'"):
        reproduce(EXPERIMENT, tmp_path, Request(rows="resnet"))


def test_the_paper_preset_has_the_papers_numbers() -> None:
    settings = {row: LobeSettings.model_validate(one.model_dump()) for row, one in PRESETS["paper"].settings.items()}
    assert settings["pdv"].prepare == FrameSettings()
    assert settings["pdv"].segmentation.learning_rate == 0.01
    assert settings["pdv"].segmentation.weight_decay == 1e-7
    assert settings["vnet"].network.width == 16
