"""Results of stacks on the disk: in the format of the stack, complete or absent, never in memory as a whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from weakmask.commands.predict import predict
from weakmask.errors import MachineError, UserError
from weakmask.inference import shown_scan, stack_result
from weakmask.inference.scan_record import read_record
from weakmask.inference.stack_result import save_stack_result
from weakmask.inference.trained_model import Model, load
from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.mitochondria.model import MitochondriaSegmenter
from weakmask.refinement.instance_search import Decoder
from weakmask.regions.scan_regions import RegionSource
from weakmask.volume import stack as stacks
from weakmask.volume.stack_files import open_stack, write_stack

SPACING = (30.0, 8.0, 8.0)


class Dark(nn.Module):
    """Dark voxels are mitochondria, and nothing is a contour."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([20 * (0.4 - image), torch.full_like(image, -20.0)], dim=1)


@pytest.fixture
def model() -> Model:
    config = MitochondriaSettings.model_validate({"data": {"cohort": "c"}})
    decoder = Decoder(seed=0.6, contour=0.5, mask=0.5, least_voxels=20)
    return load(MitochondriaSegmenter(Dark(), decoder, SPACING, SPACING, config, {}, torch.device("cpu")))


def bodies() -> np.ndarray:
    image = np.full((5, 70, 90), 200, np.uint8)
    image[1:4, 10:30, 10:30], image[:, 40:60, 50:80] = 20, 20
    return image


def test_predict_reads_a_stack_that_does_not_fit(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of 31,500 bytes a quarter of the memory holds a third: no step asks for the whole."""
    write_stack(bodies(), tmp_path / "a.zarr", SPACING, np.uint8)
    monkeypatch.setattr(stacks, "memory_bytes", lambda: 4 * bodies().size // 3)
    monkeypatch.setattr(shown_scan, "SHOWN_VOXELS", bodies().size // 3)
    with pytest.raises(UserError, match="more than a quarter of this machine's memory"):
        open_stack(tmp_path / "a.zarr").volume()
    predict(model, [tmp_path / "a.zarr"], tmp_path / "out", RegionSource(), "cpu")
    labels = open_stack(tmp_path / "out" / "instances.zarr", "label")
    assert labels.spacing_nm == SPACING
    assert labels.dtype == np.uint32
    assert np.array_equal(labels[:] > 0, bodies() < 100)
    assert open_stack(tmp_path / "out" / "probability.zarr").dtype == np.uint8
    assert sorted(pd.read_csv(tmp_path / "out" / "instances.csv")["voxels"]) == [1200, 3000]
    assert pd.read_csv(tmp_path / "out" / "scores.csv")["count"].tolist() == [2]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "shown: sections 0 to 4, rows 32 to 66, columns 42 to 86" in page
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "instances.zarr", "probability.zarr", "instances.csv", "scan.json", "scores.csv", "report.html", "predict.json"
    }  # fmt: skip


def test_a_fault_in_the_midst_leaves_the_earlier_result(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_stack(bodies(), tmp_path / "a.h5", SPACING, np.uint8)
    out = tmp_path / "out" / "a"
    save_stack_result(model, tmp_path / "a.h5", "a", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"instances.h5", "probability.h5", "instances.csv", "scan.json"}

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "out" / "x"))

    monkeypatch.setattr(stack_result, "write_stack", fail)
    with pytest.raises(MachineError, match="No space left"):
        save_stack_result(model, tmp_path / "a.h5", "a", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]  # nothing hidden is left


def test_a_changed_folder_of_zarr_is_not_replaced(model: Model, tmp_path: Path):
    write_stack(bodies(), tmp_path / "a.zarr", SPACING, np.uint8)
    save_stack_result(model, tmp_path / "a.zarr", "a", tmp_path / "out")
    record = read_record(tmp_path / "out")
    assert record is not None
    assert set(record.files) == {"instances.zarr", "probability.zarr", "instances.csv"}
    chunk = tmp_path / "out" / "instances.zarr" / "0" / "0.0.0"
    chunk.write_bytes(b"changed")
    with pytest.raises(UserError, match=r"instances\.zarr: was changed after it was written"):
        save_stack_result(model, tmp_path / "a.zarr", "a", tmp_path / "out")


def test_voxels_without_a_number_are_refused(model: Model, tmp_path: Path):
    grey = bodies().astype(np.float32)
    grey[2, 3, 4:6] = np.nan
    write_stack(grey, tmp_path / "a.zarr", SPACING, np.float32)
    with pytest.raises(UserError, match="2 of 31500 voxels are NaN or infinite"):
        save_stack_result(model, tmp_path / "a.zarr", "a", tmp_path / "out")
    assert not (tmp_path / "out").exists()
