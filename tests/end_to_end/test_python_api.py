"""The Python interface gives the same voxels and values as the command line, for files, volumes and arrays."""

import base64
import html
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from malformed_files import image_file, lobes, scan_series
from PIL import Image

import weakmask as wm
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.volume.files import write_volume

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """The image of a phantom; the regions lie in a folder beside it."""
    write_phantom_cohort(tmp_path / "cohort", 1, 3, (40, 48, 48), (8.0, 8.0, 8.0))
    return next((tmp_path / "cohort" / "images").iterdir())


@pytest.fixture(scope="session")
def model(untrained: Callable[[float], Path]) -> Path:
    """An untrained model whose threshold marks a part of every phantom."""
    return untrained(0.1034)


def regions_of(scan: Path) -> Path:
    return scan.parents[1] / "regions" / scan.name


def equal_to_files(found: wm.Prediction, out: Path, name: str) -> None:
    written = {layer: wm.read_volume(out / name / f"{layer}.nii.gz") for layer in ("mask", "activation", "regions")}
    assert found.regions is not None
    layers = {"mask": found.mask, "activation": found.maps["activation"], "regions": found.regions}
    for layer, volume in layers.items():
        assert np.array_equal(volume.voxels, written[layer].voxels), layer
        assert volume.geometry.spacing_mm == written[layer].geometry.spacing_mm
    table = pd.read_csv(out / "scores.csv").drop(columns="scan")
    pd.testing.assert_frame_equal(found.table, table, check_exact=True, check_dtype=False)
    assert 0 < found.mask.voxels.mean() < 1


@pytest.mark.parametrize("given", ["path", "str", "folder", "volume", "array"])
def test_a_scan_with_regions_is_segmented_as_by_the_command_line(
    model: Path, scan: Path, tmp_path: Path, weakmask: Run, given: str
) -> None:
    masks, out = regions_of(scan), tmp_path / "out"
    assert weakmask("predict", model, scan, "--regions", masks, "--device", "cpu", "-o", out) == (0, [])
    loaded = wm.load(model, "cpu")
    image, regions = wm.read_volume(scan), wm.read_volume(masks, "label")
    found = {
        "path": lambda: loaded.segment(scan, masks),
        "str": lambda: wm.load(str(model), torch.device("cpu")).segment(str(scan), str(masks)),
        "folder": lambda: loaded.segment(scan, masks.parent),
        "volume": lambda: loaded.segment(image, regions),
        "array": lambda: loaded.segment(image.voxels, regions.voxels, spacing_mm=image.geometry.spacing_mm),
    }[given]()
    equal_to_files(found, out, scan.name.removesuffix(".nii.gz"))
    assert given == "array" or found.mask.geometry.same_grid(image.geometry)
    assert found.table["region"].tolist() == ["LUL", "LLL", "RUL", "RML", "RLL"]


def test_a_scan_without_regions_is_segmented_as_by_the_command_line(
    model: Path, scan: Path, tmp_path: Path, weakmask: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, notes = weakmask("predict", model, scan, "--device", "cpu", "-o", tmp_path / "out")
    assert code == 0
    found = wm.load(model, "cpu").segment(scan)
    assert [line for line in capsys.readouterr().err.splitlines() if line] == notes
    equal_to_files(found, tmp_path / "out", scan.name.removesuffix(".nii.gz"))


def test_one_series_of_a_folder_is_segmented(model: Path, scan: Path, tmp_path: Path) -> None:
    image, masks = wm.read_volume(scan), regions_of(scan)
    for uid, added in (("1.2.5", 0), ("1.2.6", 40)):
        scan_series(tmp_path / "exam", image.with_voxels(image.voxels + np.int16(added)), uid)
    loaded = wm.load(model, "cpu")
    found = {uid: loaded.segment(tmp_path / "exam", masks, series=uid).table for uid in ("1.2.5", "1.2.6")}
    assert found["1.2.5"].equals(loaded.segment(image, masks).table)
    assert not found["1.2.6"].equals(found["1.2.5"])
    with pytest.raises(UserError, match=r"2 series; expected one; choose by .*series=UID"):
        loaded.segment(tmp_path / "exam", masks)
    for other in (scan, image):
        with pytest.raises(UserError, match=r"series='1.2.5' is for DICOM; leave it out"):
            loaded.segment(other, masks, series="1.2.5")


def test_the_folder_of_totalsegmentator_is_taken_for_the_one_scan(
    model: Path, scan: Path, tmp_path: Path, weakmask: Run
) -> None:
    regions = wm.read_volume(regions_of(scan), "label")
    names = ("upper_lobe_left", "lower_lobe_left", "upper_lobe_right", "middle_lobe_right", "lower_lobe_right")
    masks = {f"lung_{name}": regions.voxels == label for label, name in enumerate(names, 1)}
    for name, inside in {**masks, "heart": regions.voxels == 0}.items():
        (tmp_path / "ts").mkdir(exist_ok=True)
        write_volume(regions.with_voxels(inside.astype(np.uint8)), tmp_path / "ts" / f"{name}.nii.gz")
    code, notes = weakmask(
        "predict", model, scan, "--regions", tmp_path / "ts", "--device", "cpu", "-o", tmp_path / "o"
    )
    assert code == 0
    assert notes == [f"note {tmp_path / 'ts'}: structures of other names are not used: heart"]
    equal_to_files(wm.load(model, "cpu").segment(scan, regions), tmp_path / "o", scan.name.removesuffix(".nii.gz"))
    shutil.copy(scan, tmp_path / "other.nii.gz")
    for masks in (tmp_path / "ts", regions_of(scan)):  # another patient's
        code, lines = weakmask(
            "predict", model, scan, tmp_path / "other.nii.gz", "--regions", masks, "-o", tmp_path / "p"
        )
        assert code == 2
        assert len(lines) == 1
        assert "the region mask of one scan, given for 2" in lines[0]


def test_a_numbering_and_names_are_taken_as_by_the_command_line(model: Path, scan: Path) -> None:
    regions = wm.read_volume(regions_of(scan), "label")
    other = np.where(regions.voxels > 0, regions.voxels + 9, 0)  # TotalSegmentator numbers the lobes from 10
    loaded = wm.load(model, "cpu")
    expected = loaded.segment(scan, regions)
    for names in ("totalsegmentator", {10: "LUL", 11: "LLL", 12: "RUL", 13: "RML", 14: "RLL"}):
        found = loaded.segment(scan, other, region_names=names)
        assert np.array_equal(found.mask.voxels, expected.mask.voxels)
        assert found.table.equals(expected.table)


def test_a_slice_without_regions_has_an_empty_mask(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = wm.load(model, "cpu").segment(np.full((14, 16), 90), np.zeros((14, 16), bool), (1, 1), name="p0")
    assert (found.mask.voxels.shape, int(found.mask.voxels.max()), len(found.table)) == ((1, 14, 16), 0, 0)
    assert capsys.readouterr().err == "note p0: its region mask is empty, and so is the mask\n"


SCAN, REGIONS = np.full((12, 14, 16), -800, np.int16), lobes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image": SCAN, "regions": REGIONS}, "an array has no voxel size; give spacing_mm="),
        ({"image": SCAN, "regions": REGIONS, "spacing_mm": (1, 1)}, r"spacing_mm is \(1.0, 1.0\)"),
        (
            {"image": SCAN, "regions": REGIONS[1:], "spacing_mm": (1, 1, 1)},
            "region mask has shape .* expected the image's",
        ),
        ({"image": SCAN, "regions": REGIONS / 2, "spacing_mm": (1, 1, 1)}, "a label map with fractions"),
        ({"image": SCAN, "regions": REGIONS[0], "spacing_mm": (1, 1, 1)}, "region mask has shape"),
        ({"image": SCAN, "regions": 0 * REGIONS, "spacing_mm": (1, 1, 1)}, "scan: its region mask is empty; expected"),
        ({"image": SCAN * np.nan, "regions": REGIONS, "spacing_mm": (1, 1, 1)}, "scan: 2688 of 2688 voxels are NaN"),
        ({"image": SCAN, "regions": "none.nii.gz", "spacing_mm": (1, 1, 1)}, "none.nii.gz: no such region mask"),
        ({"image": "none.nii.gz"}, "none.nii.gz: no such file"),
        ({"image": SCAN, "regions": REGIONS, "spacing_mm": (1, 1, 1), "region_names": "me"}, "unknown numbering 'me'"),
    ],
)
def test_a_wrong_input_is_refused_in_one_line(model: Path, arguments: dict, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        wm.load(model, "cpu").segment(**arguments)
    assert "\n" not in str(caught.value)


def test_regions_of_another_grid_are_refused(model: Path) -> None:
    image = wm.Volume.from_array(SCAN, (1, 1, 1))
    regions = wm.Volume.from_array(REGIONS[1:], (2, 1, 1), "label")
    with pytest.raises(UserError, match=r"scan: the region mask: grid .*, the image's"):
        wm.load(model, "cpu").segment(image, regions)
    with pytest.raises(UserError, match="spacing_mm is for arrays"):
        wm.load(model, "cpu").segment(image, regions, spacing_mm=(1, 1, 1))


def test_a_picture_needs_its_regions(model: Path, tmp_path: Path) -> None:
    picture = image_file(tmp_path / "p.png", np.full((14, 16), 90, np.uint8))
    with pytest.raises(UserError, match=r"p.png: a picture has no Hounsfield units .* give its region mask"):
        wm.load(model, "cpu").segment(picture)


def test_a_model_that_is_not_there_or_a_device_that_is_unknown_is_refused(model: Path) -> None:
    with pytest.raises(UserError, match="no such model"):
        wm.load("runs/none", "cpu")
    with pytest.raises(UserError, match="device tpu is not available"):
        wm.load(model, "tpu")


def test_lobes_are_those_of_the_command_line(scan: Path, tmp_path: Path, weakmask: Run) -> None:
    weakmask("lobes", scan, "--device", "cpu", "-o", tmp_path / "out")
    image = wm.read_volume(scan)
    written = wm.read_volume(tmp_path / "out" / scan.name, "label")
    for found in (wm.find_lobes(str(scan), device="cpu"), wm.find_lobes(image, device=torch.device("cpu"))):
        assert np.array_equal(found.lobes.voxels, written.voxels)
    assert written.voxels.max() > 0


def test_a_notebook_shows_the_picture_the_table_and_the_warnings(model: Path, scan: Path) -> None:
    found = wm.load(model, "cpu").segment(scan, regions_of(scan))
    named = replace(found, scan=replace(found.scan, name="a<b>&c"), warnings=("the <i>lobes</i> look odd\x1b[31m",))
    shown = named._repr_html_()
    ((kind, data),) = re.findall(r'src="data:([^;]+);base64,([^"]+)"', shown)
    (name,) = re.findall('alt="([^"]+)"', shown)
    picture = np.asarray(Image.open(BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)
    assert kind == "image/webp"
    assert (picture[..., 0] - picture[..., 2] > 60).any()  # the mask is orange
    assert html.unescape(name) == "a<b>&c"
    rows = [re.findall("<td>(.*?)</td>", row) for row in shown.split("<tr")[2:]]
    assert [row[0] for row in rows] == found.table["region"].tolist()
    assert [float(row[1]) for row in rows] == pytest.approx(found.table["fraction"].tolist(), abs=1e-6)
    assert "<p>the &lt;i&gt;lobes&lt;/i&gt; look odd" in shown
    assert "\x1b" not in shown
    assert not re.search(r"<(script|b|i)>", shown)

    assert found.regions is not None
    no_region = found.regions.with_voxels(np.zeros_like(found.regions.voxels))
    empty = replace(found, scan=replace(found.scan, regions=no_region))._repr_html_()
    assert ("<img" in empty, "<table" in empty) == (False, True)
