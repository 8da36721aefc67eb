"""One scan stored as LPS, RAS, LAS, coronal and sagittal slices and DICOM, its masks in yet another order: one result.

Every method is also tried on a scan in another order in `methods/test_every_method.py`.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from malformed_files import scan_series
from storage_orders import EVERY_ORDER, ORDERS, stored

import weakmask as wm
from weakmask.anatomy.lung_field import lung_field
from weakmask.methods.lobes.prepare import framed
from weakmask.methods.lobes.scans import folder_scans
from weakmask.methods.supervised import SupervisedSettings
from weakmask.methods.supervised.prepare import prepare
from weakmask.phantoms.chest_ct import Phantom, make_phantom
from weakmask.pipeline import Work
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.regions.lobe_frame import FrameSettings
from weakmask.regions.make_regions import make_regions
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.storage_order import Order, in_order_of
from weakmask.volume.volume import Volume

Run = Callable[..., tuple[int, list[str]]]
NAMES = (*ORDERS, "DICOM")
CORONAL = ORDERS["coronal"]
LOBES = {1: "LUL", 2: "LLL", 3: "RUL", 4: "RML", 5: "RLL"}
SUFFIXES = {"coronal": ".mha", "sagittal": ".nrrd"}


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return make_phantom(5, (29, 34, 33), (10.0, 10.5, 11.0), {1: 3, 2: 2, 4: 4, 5: 3})  # no side is a multiple of 2 mm


def write_cohort(folder: Path, phantom: Phantom, names: tuple[str, ...] = NAMES) -> Path:
    """A cohort of one scan in all orders; masks and truth are in the order of the next one."""
    orders = ORDERS | {"DICOM": ORDERS["LPS"]}
    for name, (mask_order, truth_order) in zip(names, pairwise([*names[1:], *names[:2]]), strict=True):
        if name == "DICOM":
            scan_series(folder / "images" / name, phantom.image)
        else:
            suffix = SUFFIXES.get(name, ".nii.gz")
            write_volume(stored(phantom.image, orders[name]), folder / "images" / f"{name}{suffix}")
        write_volume(stored(phantom.lobes, orders[mask_order]), folder / "regions" / f"{name}.nii.gz")
        write_volume(stored(phantom.lesions, orders[truth_order]), folder / "truth" / f"{name}.nii.gz")
    scores = [f"{name},{','.join(str(phantom.scores[label]) for label in LOBES)}" for name in names]
    (folder / "scores.csv").write_text("\n".join([f"scan,{','.join(LOBES.values())}", *scores, ""]))
    return folder


@pytest.fixture(scope="session")
def cohort(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("orders") / "cohort", phantom)


@pytest.fixture(scope="module")
def model(untrained: Callable[[float], Path]) -> wm.Model:
    return wm.load(untrained(0.1034), "cpu")


@pytest.fixture(scope="module")
def expected(model: wm.Model, phantom: Phantom) -> wm.Prediction:
    found = model.segment(phantom.image, phantom.lobes)
    assert 0.1 < found.mask.voxels.sum() / (phantom.lobes.voxels > 0).sum() < 0.9
    return found


def test_the_command_line_gives_one_mask_and_one_row_for_every_order(
    untrained: Callable[[float], Path], expected: wm.Prediction, cohort: Path, tmp_path: Path, weakmask: Run
) -> None:
    out, images = tmp_path / "out", {name: cohort / "images" / name for name in ("DICOM", "LAS.nii.gz", "coronal.mha")}
    words = (*images.values(), "--regions", cohort / "regions", "--device", "cpu", "-o", out)
    assert weakmask("predict", untrained(0.1034), *words) == (0, [])
    table = pd.read_csv(out / "scores.csv").drop(columns="scan")
    for number, file in enumerate(images.values()):
        folder = out / file.name.partition(".")[0]
        for layer, volume in {"mask": expected.mask, "activation": expected.maps["activation"]}.items():
            found = read_volume(folder / f"{layer}.nii.gz", volume.kind)
            assert found.geometry.same_grid(read_volume(file).geometry)
            assert np.array_equal(in_order_of(found, volume.geometry).voxels, volume.voxels), (file, layer)
        rows = table.iloc[5 * number : 5 * number + 5].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected.table, check_exact=True, check_dtype=False)


@pytest.mark.parametrize("order", [ORDERS["RAS"], ORDERS["sagittal"], EVERY_ORDER[9], EVERY_ORDER[22], EVERY_ORDER[47]])
def test_python_gives_masks_in_the_order_of_the_scan(
    model: wm.Model, expected: wm.Prediction, phantom: Phantom, order: Order
) -> None:
    scan = stored(phantom.image, order)
    found = model.segment(scan, phantom.lobes)
    assert found.mask.geometry == found.maps["activation"].geometry == scan.geometry
    assert np.array_equal(found.mask.voxels, order.turn(expected.mask.voxels))
    assert found.table.equals(expected.table)


def test_lobes_and_lungs_are_found_alike_in_every_order(phantom: Phantom) -> None:
    found, turned = (
        make_regions(scan, LOBES.values(), device="cpu") for scan in (phantom.image, stored(phantom.image, CORONAL))
    )
    assert found.numbering.keys() == set(LOBES.values())
    assert np.array_equal(turned.labels.voxels, CORONAL.turn(found.labels.voxels))
    lungs, turned_lungs = lung_field(phantom.image), lung_field(stored(phantom.image, CORONAL))
    assert np.array_equal(turned_lungs.voxels, CORONAL.turn(lungs.voxels))


def prepared(cohort: Path, run: Path, spacing_mm: float | None = None) -> pd.DataFrame:
    config = SupervisedSettings(
        data=DataSettings(cohort=cohort, validation=0.2),
        prepare=PrepareSettings(spacing_mm=spacing_mm, margin_mm=10.0, crop_shape=(12, 14, 16)),
    )
    work = Work(run, run / "01-prepare", config)
    work.out.mkdir(parents=True)
    prepare(work)
    return pd.read_csv(work.out / "index.csv")


def crops(run: Path, index: pd.DataFrame, scan: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    folder, rows = run / "01-prepare", index.query(f"scan == {scan!r}")
    return {
        name: (read_volume(folder / file).voxels, read_volume(folder / "lesions" / Path(file).name, "label").voxels)
        for name, file in zip(rows["name"], rows["file"], strict=True)
    }


def equal_crops(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, pair in found.items():
        assert all(np.array_equal(*both) for both in zip(pair, expected[name], strict=True)), name


@pytest.mark.parametrize("spacing_mm", [None, 6.0])
def test_training_sees_the_same_crops_and_truth_in_every_order(
    cohort: Path, tmp_path: Path, spacing_mm: float | None
) -> None:
    index = prepared(cohort, tmp_path, spacing_mm)
    assert set(index["scan"]) == set(NAMES)
    expected = crops(tmp_path, index, "LPS")
    assert expected.keys() == set(LOBES.values())
    assert any(truth.any() for _, truth in expected.values())
    for name in NAMES[1:]:
        equal_crops(crops(tmp_path, index, name), expected)


def test_lobe_networks_see_the_same_scan_in_every_order(cohort: Path) -> None:
    settings = FrameSettings(shape=(16, 20, 24), frame="lungs", outside="blank")
    seen = [framed(scan, settings) for scan in folder_scans(cohort, "weakmask")]
    assert len(seen) == len(NAMES)
    parts = [(one[0].image.voxels, one[0].field.voxels, one[1].voxels) for one in seen if not isinstance(one, str)]
    assert len(parts) == len(NAMES)
    assert all(np.array_equal(*both) for one in parts for both in zip(one, parts[0], strict=True))


def test_check_and_evaluate_take_masks_in_any_order(
    phantom: Phantom, cohort: Path, tmp_path: Path, weakmask: Run
) -> None:
    assert weakmask("check", cohort) == (0, [])
    marked = phantom.lesions.with_voxels((phantom.image.voxels > -700) & (phantom.lobes.voxels > 0))
    for number, name in enumerate(NAMES):
        write_volume(stored(marked, EVERY_ORDER[7 * number]), tmp_path / "masks" / f"{name}.nii.gz")
    assert weakmask("evaluate", tmp_path / "masks", cohort, "-o", tmp_path / "out") == (0, [])
    for file in ("results.csv", "severity.csv"):
        rows = pd.read_csv(tmp_path / "out" / file).drop(columns="patient")
        assert set(rows["scan"]) == set(NAMES)
        assert len({str(part.drop(columns="scan").to_numpy().tolist()) for _, part in rows.groupby("scan")}) == 1


def test_names_labels_and_the_order_of_rows_change_no_crop(phantom: Phantom, tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", phantom, ("LPS", "RAS", "LAS"))
    index = prepared(cohort, tmp_path / "run")
    other = tmp_path / "other"
    shutil.copytree(cohort, other)
    for folder in ("images", "regions", "truth"):
        for file in sorted((other / folder).iterdir()):
            file.rename(file.with_name(f"scan_{file.name}"))
    for file in (other / "regions").iterdir():
        mask = read_volume(file, "label")
        write_volume(mask.with_voxels(np.where(mask.voxels, 26 - mask.voxels, 0).astype(np.uint8)), file)
    names = ", ".join(f"{name}: {26 - label}" for label, name in LOBES.items())
    (other / "regions.yaml").write_text(f"labels: {{{names}}}\n")
    head, *rows = (cohort / "scores.csv").read_text().splitlines()
    (other / "scores.csv").write_text("\n".join([head, *(f"scan_{row}" for row in reversed(rows))]))
    changed = prepared(other, tmp_path / "changed")
    for name in ("LPS", "RAS", "LAS"):
        found = crops(tmp_path / "changed", changed, f"scan_{name}")
        equal_crops(found, crops(tmp_path / "run", index, name))
    key = ["scan", "name"]
    unnamed = changed.assign(scan=changed["scan"].str.removeprefix("scan_")).sort_values(key)
    columns = ["scan", "name", "score", "low", "high", "split"]
    assert unnamed[columns].values.tolist() == index.sort_values(key)[columns].values.tolist()


def test_air_around_a_scan_and_other_labels_change_no_result(
    model: wm.Model, expected: wm.Prediction, phantom: Phantom
) -> None:
    image, regions = phantom.image.pad((1, 1, 1), fill=-1000), phantom.lobes.pad((1, 1, 1))  # holds the crops' margins
    padded = model.segment(image.pad((4, 5, 6), fill=-1000), regions.pad((4, 5, 6)))
    assert np.array_equal(padded.mask.voxels[4:-4, 5:-5, 6:-6], model.segment(image, regions).mask.voxels)
    other = phantom.lobes.with_voxels(np.where(phantom.lobes.voxels, 26 - phantom.lobes.voxels, 0))
    renumbered = model.segment(phantom.image, other, region_names={26 - label: name for label, name in LOBES.items()})
    assert np.array_equal(renumbered.mask.voxels, expected.mask.voxels)
    by_name = [found.table.set_index("region").sort_index() for found in (renumbered, expected)]
    assert by_name[0].equals(by_name[1])


def test_an_oblique_scan_is_one_scan_in_every_order(model: wm.Model, phantom: Phantom) -> None:
    sine, cosine = np.sin(0.2), np.cos(0.2)
    tilted = ((cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0))
    grid = replace(phantom.image.geometry, direction=tilted)
    image, lobes = Volume(phantom.image.voxels, grid), Volume(phantom.lobes.voxels, grid, "label")
    upright = model.segment(image, lobes)
    for name in ("RAS", "coronal", "sagittal"):
        found = model.segment(stored(image, ORDERS[name]), stored(lobes, ORDERS["LAS"]))
        assert np.array_equal(found.mask.voxels, ORDERS[name].turn(upright.mask.voxels))
        assert found.table.equals(upright.table)
