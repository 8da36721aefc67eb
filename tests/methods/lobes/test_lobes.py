"""The method from scans to a model, and from the model to lobe maps, as small as it goes."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from malformed_files import scan_series
from torch import Tensor, nn
from typer.testing import CliRunner

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.cli import app
from weakmask.commands.lobes import write_lobe_masks
from weakmask.errors import UserError
from weakmask.methods import load_config, train
from weakmask.methods.lobes import METHOD, LobeSettings
from weakmask.methods.lobes.config import DataSettings, FrameSettings, NetworkSettings, SegmentationSettings
from weakmask.methods.lobes.evaluate_run import LOBES, lobe_dice
from weakmask.methods.lobes.scans import folder_scans, phantom_scan, phantoms, split_scans
from weakmask.methods.lobes.segmentation import BatchMaker, Grids, Validation
from weakmask.pipeline import run_stages
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.itk import to_itk, write_by_itk
from weakmask.volume.volume import Volume

PHANTOM = ((48, 44, 52), (6.0, 6.0, 6.0))


class Knowing(nn.Module):
    """Answers with the lobes that it was made with."""

    def __init__(self, lobes: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(nn.functional.one_hot(lobes[:, 0].long(), 6).movedim(-1, 1).float())

    def forward(self, image: Tensor) -> Tensor:
        return self.logits


def settings(cohort: Path | None = None, **parts: object) -> LobeSettings:
    values = {
        "device": "cpu",
        "data": DataSettings(cohort=cohort, phantoms=3, phantom_spacing_mm=6.0, validation=0.34),
        "prepare": FrameSettings(shape=(16, 16, 24), frame="lungs", outside="blank"),
        "network": NetworkSettings(kernels=4, growth=(2, 2, 2), layers=(1, 1, 1), width=2, dropout=0.0),
        "segmentation": SegmentationSettings(steps=2, batch=2, validate_every=1, cross_entropy=0.5),
    }
    return LobeSettings.model_validate({**values, **parts})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms with lobes in another tool's numbering, and one scan that is none."""
    cohort = tmp_path_factory.mktemp("cohort")
    theirs = NUMBERINGS["rtsu"]
    for seed in range(3):
        image, lobes = phantom_scan(seed, *PHANTOM, ill=seed > 0)
        numbered = np.zeros_like(lobes.voxels)
        for name, label in LOBES.items():
            numbered[lobes.voxels == label] = theirs[name]
        write_volume(image, cohort / "images" / f"scan{seed}.nii.gz")
        write_volume(lobes.with_voxels(numbered), cohort / "regions" / f"scan{seed}.nii.gz")
    air = Volume(np.full((8, 8, 8), -1000, np.int16), Geometry((8, 8, 8), (6.0,) * 3))
    write_volume(air, cohort / "images" / "air.nii.gz")
    write_volume(air.with_voxels(np.ones((8, 8, 8), np.uint8), "label"), cohort / "regions" / "air.nii.gz")
    return cohort


def test_scans_of_one_patient_stay_together_where_a_table_names_the_patients(folder: Path, tmp_path: Path) -> None:
    for part in ("images", "regions"):
        (tmp_path / part).symlink_to(folder / part)
    rows = [f"scan{seed},1,{'one' if seed else 'other'}" for seed in range(3)]
    (tmp_path / "scores.csv").write_text("\n".join(["scan,LUL,patient", *rows]))
    scans = folder_scans(tmp_path, "rtsu")
    assert {scan.name: scan.patient for scan in scans if scan.patient} == {
        "scan0": "other",
        "scan1": "one",
        "scan2": "one",
    }
    for seed in range(5):
        data = DataSettings(cohort=tmp_path, validation=0.34, split_seed=seed)
        split = split_scans(scans, settings().model_copy(update={"data": data}))
        assert ("scan1" in split.train) == ("scan2" in split.train)


def test_test_scans_that_are_trained_on_are_refused(folder: Path, tmp_path: Path) -> None:
    data = DataSettings(cohort=folder, test=folder, numbering="rtsu", validation=0.34)
    with pytest.raises(UserError, match="trained on, by name or content: air, scan0, scan1, scan2;"):
        run_stages(METHOD.stages[:1], tmp_path / "run", settings().model_copy(update={"data": data}))


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    data = DataSettings(cohort=folder, numbering="rtsu", validation=0.25)
    config = settings(data=data)
    train(METHOD, config, run)
    return run


def test_a_run_leaves_a_model_masks_tables_and_a_report(run: Path) -> None:
    results = pd.read_csv(run / "results.csv")
    assert list(results.columns) == ["scan", "patient", *LOBES, "mean", "faults"]
    assert results["mean"].between(0, 1).all()
    assert (run / "report.html").read_text().count("PDV-Net") > 1
    assert "left out air" in (run / "manifest.json").read_text()
    for name in results["scan"]:
        mask = read_volume(run / "04-evaluation" / "masks" / f"{name}.nii.gz", "label")
        assert mask.geometry.shape == PHANTOM[0]
        assert set(np.unique(mask.voxels)) <= {0, *LOBES.values()}


def test_masks_of_another_tool_are_learnt_by_name(folder: Path) -> None:
    (scan,) = (scan for scan in folder_scans(folder, "rtsu") if scan.name == "scan1")
    _, truth = phantom_scan(1, *PHANTOM)
    assert np.array_equal(scan.load()[1].voxels, truth.voxels)


def test_a_segmentation_of_a_part_of_the_voxels_is_learnt_in_its_place(tmp_path: Path) -> None:
    """3D Slicer leaves out what lies around its segments; such masks were refused."""
    image, lobes = phantom_scan(1, *PHANTOM)
    box = lobes.geometry.box.grown((-1, -1, -1))
    outside = np.ones(lobes.voxels.shape, bool)
    outside[box.slices] = False
    assert not lobes.voxels[outside].any()
    write_volume(image, tmp_path / "images" / "a.nii.gz")
    part = lobes.crop(box)
    mask = to_itk(part.voxels, part.geometry)
    for name, label in LOBES.items():
        mask.SetMetaData(f"Segment{label}_Name", name)
        mask.SetMetaData(f"Segment{label}_LabelValue", str(label))
        mask.SetMetaData(f"Segment{label}_Layer", "0")
    (tmp_path / "regions").mkdir()
    write_by_itk(mask, tmp_path / "regions" / "a.seg.nrrd", ".nrrd")
    assert np.array_equal(folder_scans(tmp_path, "weakmask")[0].load()[1].voxels, lobes.voxels)


@pytest.mark.parametrize("network", ["dense_v_net", "v_net", "unet"])
def test_the_other_networks_train_on_the_same_grids(network: str, run: Path, tmp_path: Path) -> None:
    data = load_config(run / "config.yaml")[1].data
    named = NetworkSettings.model_validate({**settings().network.model_dump(), "name": network})
    config = settings(network=named, data=data)
    run_stages([], tmp_path / "fresh", config)
    shutil.copytree(run / "01-prepare", tmp_path / "fresh" / "01-prepare")
    run_stages(METHOD.stages[:3], tmp_path / "fresh", config)
    model = load_lobe_model(tmp_path / "fresh", device_of("cpu"))
    assert model.header["network"] == network
    assert np.isfinite(pd.read_csv(tmp_path / "fresh" / "02-segmentation" / "curves.csv")["dice"]).all()


def test_lobe_masks_lie_on_the_scans_own_grids_and_bad_scans_cost_nothing_else(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    done = write_lobe_masks([folder / "images"], tmp_path / "regions", run, "cpu")
    table, failures = done.table, done.failures
    assert sorted(table["scan"]) == ["scan0", "scan1", "scan2"]
    assert len(failures) == 1
    assert "air.nii.gz" in failures[0]
    for name in table["scan"]:
        image = read_volume(folder / "images" / f"{name}.nii.gz")
        lobes = read_volume(tmp_path / "regions" / f"{name}.nii.gz", "label")
        assert lobes.geometry.same_grid(image.geometry)
        assert lobes.voxels.dtype == np.uint8
    shares = table[list(LOBES)].sum(axis=1)
    assert ((shares == 0) | (shares - 1).abs().lt(1e-6)).all()


def test_the_verb_warns_of_lobes_that_nobody_has(run: Path, folder: Path, tmp_path: Path) -> None:
    words = ["lobes", str(folder / "images" / "scan0.nii.gz"), "-o", str(tmp_path / "regions"), "--model", str(run)]
    result = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "regions" / "scan0.nii.gz").exists()
    assert "no" in result.output  # two steps of training make no lobes


def test_masks_may_be_named_after_the_patient_and_the_series(run: Path, folder: Path, tmp_path: Path) -> None:
    image = read_volume(folder / "images" / "scan0.nii.gz")
    for patient in ("A", "B"):
        scan_series(
            tmp_path / f"p{patient}" / "CT", image, f"1.2.{ord(patient)}", PatientID=f"{patient} 7", SeriesNumber=3
        )
    words = ["lobes", str(tmp_path), "-o", str(tmp_path / "out"), "--model", str(run), "--device", "cpu", "--names"]
    assert CliRunner().invoke(app, [*words, "dicom"]).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["A-7_3.nii.gz", "B-7_3.nii.gz"]


def test_one_bad_scan_alone_is_an_error_and_leaves_nothing(run: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"air\.nii\.gz"):
        write_lobe_masks([folder / "images" / "air.nii.gz"], tmp_path / "out", run, "cpu")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="stage model is not finished"):
        write_lobe_masks([folder / "images"], tmp_path / "out", folder, "cpu")


def test_two_scans_of_one_name_do_not_overwrite_each_other(run: Path, folder: Path, tmp_path: Path) -> None:
    scan, other = folder / "images" / "scan1.nii.gz", tmp_path / "other" / "scan1.nii.gz"
    other.parent.mkdir()
    shutil.copy(folder / "images" / "scan2.nii.gz", other)
    done = write_lobe_masks([scan, scan, other], tmp_path / "out", run, "cpu")
    table, failures = done.table, done.failures
    assert table["scan"].tolist() == ["images_scan1", "other_scan1"]
    assert [failure.partition(";")[0] for failure in failures] == [f"{scan}: given twice"]
    assert {path.name for path in (tmp_path / "out").glob("*.nii.gz")} == {"images_scan1.nii.gz", "other_scan1.nii.gz"}


def test_scans_that_cannot_be_learnt_from_are_told(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="no folder images/"):
        folder_scans(tmp_path, "weakmask")
    (tmp_path / "images").mkdir()
    (tmp_path / "regions").mkdir()
    with pytest.raises(UserError, match="has a mask of its name"):
        folder_scans(tmp_path, "weakmask")
    with pytest.raises(UserError, match="unknown numbering"):
        folder_scans(folder, "nobodys")[0].load()


def test_phantoms_come_from_the_seed_and_the_first_are_healthy() -> None:
    data = DataSettings(phantoms=4, phantom_seed=3, healthy=0.5, phantom_spacing_mm=10.0)
    first, more = phantoms(data), phantoms(data.model_copy(update={"phantoms": 6}))
    assert np.array_equal(first[3].load()[0].voxels, more[3].load()[0].voxels)
    assert not np.array_equal(first[2].load()[0].voxels, first[3].load()[0].voxels)


def test_dice_per_lobe_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    geometry = Geometry((4, 5, 6))
    found, truth = (Volume(rng.integers(0, 6, geometry.shape).astype(np.uint8), geometry, "label") for _ in range(2))
    dice = lobe_dice(found, truth)
    for name, label in LOBES.items():
        a, b = found.voxels == label, truth.voxels == label
        assert dice[name] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert dice["mean"] == pytest.approx(np.mean([dice[name] for name in LOBES]))


def test_after_a_lobectomy_the_other_lobes_have_a_mean(tmp_path: Path) -> None:
    """No lobe RML in truth and answer: the mean is that of the other four, and the scan stays in the table."""
    image, truth = phantom_scan(1, *PHANTOM)
    cut = np.where(truth.voxels == LOBES["RML"], LOBES["RUL"], truth.voxels)
    dice = lobe_dice(truth.with_voxels(cut), truth.with_voxels(cut))
    assert np.isnan(dice["RML"])
    assert dice["mean"] == 1.0
    assert np.isnan(lobe_dice(truth.with_voxels(0 * cut), truth.with_voxels(0 * cut))["mean"])
    write_volume(image, tmp_path / "images" / "one.nii.gz")
    write_volume(truth.with_voxels(cut), tmp_path / "regions" / "one.nii.gz")
    config = settings(cohort=tmp_path, data=DataSettings(cohort=tmp_path, test=tmp_path, seen=True, validation=0.0))
    run_stages(METHOD.stages[:1], tmp_path / "run", config)
    grids = Grids(tmp_path / "run" / "01-prepare", "training", config)
    assert Validation(grids)(Knowing(grids.plain(0)[1]), 1)["lobe_dice"] == 1.0


def test_scans_are_read_when_drawn_and_few_are_kept(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(run / "config.yaml")[1]
    prepared = run / "01-prepare"

    def batches(grids: Grids) -> list[bytes]:
        maker = BatchMaker(grids, config)
        return [tensor.numpy().tobytes() for step in range(6) for tensor in maker(step).values()]

    roomy = Grids(prepared, "training", config)
    expected = batches(roomy)
    assert roomy.scan.cache_info().currsize == len(roomy) == 2
    monkeypatch.setattr(sys.modules["weakmask.methods.lobes.segmentation"], "CACHE_BYTES", 1)
    narrow = Grids(prepared, "training", config)
    assert narrow.scan.cache_info().currsize == 0
    assert batches(narrow) == expected
    assert narrow.scan.cache_info().currsize == 1


def test_the_phantom_config_is_read(tmp_path: Path) -> None:
    _, config = load_config(Path(__file__).parents[3] / "configs" / "lobes_phantom.yaml")
    assert config.data.cohort is None
    assert config.prepare.needs_field
