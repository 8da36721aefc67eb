"""A scan with a fault gets the same answer from every command and from the Python interface; the good ones go on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from malformed_files import image_file

import weakmask as wm
from weakmask.errors import UserError
from weakmask.methods.dram import DramSettings
from weakmask.phantoms.chest_ct import Phantom, make_phantom
from weakmask.pipeline import Work
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.volume import Volume

Run = Callable[..., tuple[int, list[str]]]
Answer = tuple[bool, str]  # whether the scan was refused, and all lines
VERBS = ("check", "train", "predict", "evaluate", "python")


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(11, (44, 48, 48), (7.0, 7.0, 7.0))


def lungs(lobes: np.ndarray) -> np.ndarray:
    """Right 1, left 2, as lungmask's first model numbers them."""
    return np.where(lobes > 2, 1, np.where(lobes > 0, 2, 0)).astype(np.uint8)


def with_organs(lobes: np.ndarray) -> np.ndarray:
    labels = lobes.copy()
    labels[2:8, 20:28, 20:28][labels[2:8, 20:28, 20:28] == 0] = 51
    labels[0, 0, :5] = 6
    return labels


FAULTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray], str]] = {
    "mirrored lobes": (lambda hu: hu, lambda m: m[:, :, ::-1], "further right in the patient than"),
    "lungs called lobes": (lambda hu: hu, lungs, "looks like lungmask_r231 numbering"),
    "both lungs called LUL": (lambda hu: hu, lambda m: (m > 0).astype(np.uint8), "of the right lung"),
    "stored values": (lambda hu: hu + 1024, lambda m: m, "not in Hounsfield units (HU)"),
}


@pytest.fixture
def cohort(tmp_path: Path, phantom: Phantom) -> Callable[..., Path]:
    """Grey values and labels of the second scan -> a cohort whose first scan is good."""

    def write(values: np.ndarray, labels: np.ndarray) -> Path:
        folder, geometry = tmp_path / "cohort", phantom.image.geometry
        for name, image, mask in (
            ("good", phantom.image.voxels, phantom.lobes.voxels),
            ("odd", values, labels),
        ):
            write_volume(Volume(np.ascontiguousarray(image), geometry), folder / "images" / f"{name}.nii.gz")
            write_volume(Volume(np.ascontiguousarray(mask), geometry, "label"), folder / "regions" / f"{name}.nii.gz")
            write_volume(phantom.lesions, folder / "truth" / f"{name}.nii.gz")
        (folder / "scores.csv").write_text("scan,LUL,LLL,RUL,RML,RLL\ngood,0,2,0,0,1\nodd,0,2,0,0,1\n")
        return folder

    return write


def answer_of(verb: str, cohort: Path, model: Path, weakmask: Run) -> Answer:
    """What a command, or the Python interface, says of the second scan."""
    out, scan = cohort.parent / f"out-{verb}", cohort / "images" / "odd.nii.gz"
    lines: Sequence[str]
    if verb == "check":
        code, lines = weakmask("check", cohort)
        return code == 2, "\n".join(lines)
    if verb == "train":
        config = DramSettings(
            data=DataSettings(cohort=cohort, test=cohort, seen=True, validation=0.0),
            prepare=PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8)),
        )
        work = Work(out, out / "01-prepare", config)
        work.out.mkdir(parents=True)
        prepare(work)
        return "odd" not in set(pd.read_csv(work.out / "index.csv")["scan"]), "\n".join(work.notes)
    if verb == "predict":
        scans = cohort / "images"
        code, lines = weakmask("predict", model, scans, "--regions", cohort / "regions", "--device", "cpu", "-o", out)
        assert (out / "good" / "mask.nii.gz").exists()
        assert (code == 2) == (not (out / "odd" / "mask.nii.gz").exists())
        return code == 2, "\n".join(lines)
    if verb == "evaluate":
        _, lines = weakmask("evaluate", cohort / "truth", cohort, "-o", out)
        return "odd" not in set(pd.read_csv(out / "results.csv")["scan"]), "\n".join(lines)
    try:
        wm.load(model, "cpu").segment(scan, cohort / "regions")
    except UserError as error:
        return True, str(error)
    return False, ""


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_surely_wrong_refuses_the_scan_everywhere(
    fault: str, verb: str, cohort: Callable[..., Path], phantom: Phantom, model: Path, weakmask: Run
) -> None:
    grey, masks, words = FAULTS[fault]
    folder = cohort(grey(phantom.image.voxels), masks(phantom.lobes.voxels))
    refused, lines = answer_of(verb, folder, model, weakmask)
    assert words in lines
    # the grey values do not matter to an evaluation
    assert refused == (verb != "evaluate" or "Hounsfield" not in words)


@pytest.mark.parametrize("verb", VERBS)
def test_a_good_scan_is_used_everywhere(
    verb: str, cohort: Callable[..., Path], phantom: Phantom, model: Path, weakmask: Run
) -> None:
    refused, lines = answer_of(verb, cohort(phantom.image.voxels, phantom.lobes.voxels), model, weakmask)
    assert not refused
    assert "regions/" not in lines


@pytest.mark.parametrize("verb", VERBS[:-1])
def test_labels_without_a_name_are_noted_everywhere(
    verb: str, cohort: Callable[..., Path], phantom: Phantom, model: Path, weakmask: Run
) -> None:
    folder = cohort(phantom.image.voxels, with_organs(phantom.lobes.voxels))
    refused, lines = answer_of(verb, folder, model, weakmask)
    assert not refused
    assert "labels 6, 51 have no name and are not used" in lines
    assert "--numbering" not in lines


def test_labels_without_a_name_change_nothing_else(
    cohort: Callable[..., Path], phantom: Phantom, model: Path, weakmask: Run
) -> None:
    folder = cohort(phantom.image.voxels, with_organs(phantom.lobes.voxels))
    for verb in ("train", "predict", "evaluate"):
        answer_of(verb, folder, model, weakmask)
    out = folder.parent
    for layer in ("mask", "activation", "regions"):
        good, odd = (read_volume(out / "out-predict" / name / f"{layer}.nii.gz").voxels for name in ("good", "odd"))
        assert np.array_equal(good, odd), layer
    for table in ("out-predict/scores.csv", "out-evaluate/results.csv", "out-evaluate/severity.csv"):
        rows = pd.read_csv(out / table).drop(columns=["group", "patient"], errors="ignore")
        good, odd = (rows[rows["scan"] == name].drop(columns="scan").reset_index(drop=True) for name in ("good", "odd"))
        pd.testing.assert_frame_equal(pd.DataFrame(good), pd.DataFrame(odd))
    index = pd.read_csv(out / "out-train" / "01-prepare" / "index.csv")
    assert index["unscored"].tolist() == [0] * len(index)
    crops = out / "out-train" / "01-prepare" / "crops"
    assert all(
        np.array_equal(read_volume(crops / f"good_{k}.nii").voxels, read_volume(crops / f"odd_{k}.nii").voxels)
        for k in range(1, 6)
    )


def test_a_mask_without_any_named_label_is_refused_with_its_numbering(
    cohort: Callable[..., Path], phantom: Phantom, model: Path, weakmask: Run
) -> None:
    lobes = phantom.lobes.voxels
    folder = cohort(phantom.image.voxels, np.where(lobes > 0, lobes + 9, 0).astype(np.uint8))
    for verb in ("predict", "evaluate", "python"):
        refused, lines = answer_of(verb, folder, model, weakmask)
        assert refused
        assert "odd.nii.gz: has the labels 10, 11, 12, 13, 14, none of LUL 1, LLL 2, RUL 3, RML 4, RLL 5; " in lines
        assert "give --numbering totalsegmentator" in lines


@pytest.mark.parametrize("change", [lambda hu: hu + 1024, lambda hu: -hu], ids=["stored values", "inverted values"])
def test_lobes_are_not_looked_for_in_other_grey_values(
    change: Callable[[np.ndarray], np.ndarray], tmp_path: Path, phantom: Phantom, weakmask: Run
) -> None:
    image = phantom.image.with_voxels(change(phantom.image.voxels))
    write_volume(image, tmp_path / "scan.nii.gz")
    code, (line,) = weakmask("lobes", tmp_path / "scan.nii.gz", "--device", "cpu", "-o", tmp_path / "out")
    assert code == 2
    assert "not in Hounsfield units (HU)" in line
    with pytest.raises(UserError, match="not in Hounsfield units"):
        wm.find_lobes(image, device="cpu")


def test_a_slice_and_a_picture_are_noted_and_used(tmp_path: Path, model: Path, weakmask: Run) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, 40, 40)).astype(np.uint8)
    mask = np.ones((1, 40, 40), np.uint8)
    for suffix in (".nii.gz", ".png"):
        scan, regions = image_file(tmp_path / f"s{suffix}", noise), image_file(tmp_path / f"r{suffix}", mask)
        code, lines = weakmask("predict", model, scan, "--regions", regions, "--device", "cpu", "-o", tmp_path / suffix)
        assert "not in Hounsfield units" in "\n".join(lines)
        assert code == 0


def test_other_modalities_are_checked_without_hounsfield_units(
    cohort: Callable[..., Path], phantom: Phantom, weakmask: Run
) -> None:
    mr = ((phantom.image.voxels.astype(np.int32) + 1024) // 3).astype(np.int16)
    folder = cohort(mr, phantom.lobes.voxels)
    assert weakmask("check", folder)[0] == 2
    assert weakmask("check", folder, "--not-ct") == (0, [])
