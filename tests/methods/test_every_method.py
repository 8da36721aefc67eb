"""Every method trains one step on a tiny cohort, reports, and predicts by the command line, in any storage order.

All stages run, so that a stage that reads a setting or a stage which it does not declare fails.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from coloured_pictures import write_picture_cohort
from storage_orders import ORDERS, stored
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.methods import METHODS
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.phantoms.em_cohort import write_em_cohort
from weakmask.pipeline import read_manifest
from weakmask.volume.files import read_volume, scan_name, write_volume
from weakmask.volume.storage_order import in_order_of

CONFIGS = Path(__file__).parents[2] / "configs"
CROPS = ("device=cpu", "prepare.crop_shape=[16,16,16]", "network.width=2", "maps.scales=[1.0]")
TINY = {  # changes of configs/METHOD_phantom.yaml; every stage has something to do
    "dram": (
        *CROPS,
        "regression.steps=1",
        "losses.equivariance=0.1",
        "losses.entropy=0.1",
        "refinement.weight=1",
        "vessels.steps=1",
        "context.train=true",
        "context.spacing_mm=null",
        "context.window_voxels=16",
        "context.width=2",
        "context.steps=1",
        "context.batch=1",
    ),
    "cam": (*CROPS, "classification.steps=1"),
    "supervised": (*CROPS, "segmentation.steps=1"),
    "dual_task_mil": (
        *CROPS,
        *(
            f"{section}.{field}"
            for section in ("classification", "patches", "segmentation")
            for field in ("steps=1", "batch=4")
        ),
        "rounds=2",
    ),
    "decovnet": (*CROPS[:2], *CROPS[3:], "network.shrink=8", "classification.steps=1", "classification.batch=2"),
    "ad3d_mil": (*CROPS[:2], *CROPS[3:], "network.shrink=8", "classification.steps=1", "classification.batch=2"),
    "lobes": (
        "device=cpu",
        "data.phantoms=2",
        "data.phantom_spacing_mm=6.0",
        "data.validation=0.5",
        "prepare.shape=[16,16,24]",
        "network.kernels=4",
        "network.growth=[2,2,2]",
        "network.layers=[1,1,1]",
        "segmentation.steps=1",
    ),
    "mitochondria": (
        "device=cpu",
        "network.widths=[2,2]",
        "denoise_training.method=gaussian",
        "denoise.method=interpolation",
        "denoise.steps=1",
        "train.patch=[4,16,16]",
        "train.steps=1",
        "train.fine_patch=[4,24,24]",
        "train.fine_steps=1",
        "decoder.seed=0.4",
        "decoder.search=false",
    ),
    "v_net": (
        "device=cpu",
        "data.classes=[glass,solid,mixed]",
        "data.validation=0.34",
        "prepare.spacing_mm=null",
        "prepare.shape=[16,16,16]",
        "network.width=2",
        "train.steps=1",
    ),
    "wsmis": (
        "device=cpu",
        "prepare.side=32",
        "network.weights=none",
        "classification.steps=1",
        "classification.batch=2",
        "maps.scales=[1.0]",
        "boundary.train=true",
        "boundary.steps=1",
        "boundary.batch=2",
        "segmentation.steps=1",
        "segmentation.batch=2",
        "segmentation.widths=[4]",
        "segmentation.rounds=2",
    ),
}
VIEWED = ("dram", "lobes", "wsmis", "mitochondria", "v_net")  # the others have the views of dram
WITHOUT_REGIONS = ("wsmis", "mitochondria")
CONFIG = {"wsmis": "wsmis_photographs", "v_net": "v_net_hippocampus"}  # of methods without phantoms of a chest


def run(*words: object) -> None:
    """A verb that ends well."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training and test scans; the last test scan is the first one in another storage order."""
    folder = tmp_path_factory.mktemp("family")
    for name, seed in (("training", 3), ("test", 90)):
        write_phantom_cohort(folder / name, 3, seed, (40, 44, 48), (8.0, 8.0, 8.0), workers=1)
    for part, order in (("images", "coronal"), ("regions", "RAS"), ("truth", "LAS")):
        first, _, last = sorted((folder / "test" / part).iterdir())
        write_volume(stored(read_volume(first), ORDERS[order]), last)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured pictures to learn from, and slices to test on; the last is the first one in another storage order."""
    folder = tmp_path_factory.mktemp("pictures")
    write_picture_cohort(folder / "training", 6, 3)
    write_picture_cohort(folder / "test", 3, 90, slices=True)
    table = (folder / "test" / "labels.csv").read_text(encoding="utf-8").splitlines()
    same = [*table[:-1], table[-1][: len("picture_90_02")] + table[1][len("picture_90_00") :]]
    (folder / "test" / "labels.csv").write_text("\n".join([*same, ""]), encoding="utf-8")
    for part, order in (("images", "coronal"), ("truth", "LAS")):
        first, _, last = sorted((folder / "test" / part).iterdir())
        write_volume(stored(read_volume(first), ORDERS[order]), last)
    return folder


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stacks of electron microscopy; the last test stack is the first one in another storage order."""
    folder = tmp_path_factory.mktemp("stacks")
    for name, seed, count in (("training", 3, 1), ("test", 90, 2)):
        write_em_cohort(folder / name, count, seed, (6, 64, 56), (30.0, 16.0, 16.0), "easy", workers=1)
    for part, order in (("images", "coronal"), ("truth", "LAS")):
        first, last = sorted((folder / "test" / part).iterdir())
        write_volume(stored(read_volume(first), ORDERS[order]), last)
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_reports_and_predicts(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    method, out = METHODS[name], tmp_path / "run"
    cohort: Path = request.getfixturevalue({"wsmis": "pictures", "mitochondria": "stacks"}.get(name, "cohort"))
    config = CONFIGS / f"{CONFIG.get(name, f'{name}_phantom')}.yaml"
    changes = list(TINY[name])
    if name != "lobes":
        changes += [f"data.cohort={cohort / 'training'}", f"data.test={cohort / 'test'}", "data.validation=0.34"]
    run("train", config, "--out", out, *(word for one in changes for word in ("--set", one)))
    stages = [f"{number:02d}-{stage.name}" for number, stage in enumerate(method.stages, 1)]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == stages
    assert [stage["stage"] for stage in read_manifest(out)["stages"]] == stages
    assert len(pd.read_csv(out / "summary.csv")) > 0
    (out / "report.html").unlink()
    run("report", out)
    assert (out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    if name in VIEWED:
        view_scans(name, out)
    scan = min((cohort / "test" / "images").iterdir())
    if name != "lobes":
        results = pd.read_csv(out / "results.csv").drop(columns="patient")
        results = results.set_index([column for column in ("scan", "method", "subset") if column in results])
        first, *_, last = sorted(set(results.index.get_level_values("scan")))
        assert results.loc[first].notna().any(axis=None)
        pd.testing.assert_frame_equal(results.loc[first], results.loc[last])
    turned = tmp_path / "turned" / f"turned_{scan.name}"
    write_volume(stored(read_volume(scan), ORDERS["sagittal"]), turned)
    words: tuple[object, ...] = ("predict", out, scan, turned, "--out", tmp_path / "masks", "--device", "cpu")
    if name not in WITHOUT_REGIONS:
        regions = tmp_path / "regions"
        shutil.copytree(cohort / "test" / "regions", regions)
        shutil.copyfile(regions / scan.name, regions / turned.name)
        words = (*words, "--regions", regions)
    if method.load is None:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code != 0
        assert "expected one of" in str(result.exception)
        run("lobes", scan, turned, "--model", out, "--out", tmp_path / "masks", "--device", "cpu")
        same_voxels(tmp_path / "masks", scan, turned, "{}.nii.gz")
        return
    run(*words)
    if name != "mitochondria":  # its TIFF does not say which way an axis runs
        same_voxels(tmp_path / "masks", scan, turned, "{}/mask.nii.gz", "{}/activation.nii.gz")
    table = pd.read_csv(tmp_path / "masks" / "scores.csv", index_col="scan")
    assert set(table.index) == {scan_name(scan), scan_name(turned)}
    one, other = (table.loc[[scan_name(path)]].reset_index(drop=True) for path in (scan, turned))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def view_scans(name: str, out: Path) -> None:
    """`weakmask view RUN` lists the test scans, and shows one with its mask and its truth, linked from the report."""
    listed = CliRunner().invoke(app, ["view", str(out)])
    if name == "mitochondria":
        assert "without masks to scroll in" in str(listed.exception)
        return
    names = listed.output.split()
    assert names
    if name != "lobes":
        assert set(names) <= set(pd.read_csv(out / "results.csv")["scan"])
    run("view", out, names[-1], "--no-open")
    page = (out / "view" / f"{names[-1]}.html").read_text(encoding="utf-8")
    assert 'data-layer="truth"' in page
    assert (f'href="view/{names[-1]}.html"' in (out / "report.html").read_text(encoding="utf-8")) == (name != "v_net")
    refused = CliRunner().invoke(app, ["view", str(out), "gone", "--no-open"])
    assert f"has no test scan gone; its test scans are {names[0]}" in str(refused.exception)


def same_voxels(folder: Path, scan: Path, turned: Path, *files: str) -> None:
    """The results of both scans are in the orders of the scans, and their voxels are equal."""
    for file in files:
        one, other = (read_volume(folder / file.format(scan_name(path))) for path in (scan, turned))
        assert one.geometry == read_volume(scan).geometry
        assert other.geometry == read_volume(turned).geometry
        assert np.array_equal(in_order_of(other, one.geometry).voxels, one.voxels), file
