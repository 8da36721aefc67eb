"""Public data sets in miniature, laid out as they are published, and the cohorts that they become."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from weakmask.commands.import_set import described, import_set, listed_sets
from weakmask.datasets.case import Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.public import public_sets, read_public
from weakmask.datasets.public.registry import READERS
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

SHAPE = (4, 6, 8)
GEOMETRY = Geometry(SHAPE, (8.0, 1.0, 1.0), (3.0, 2.0, 1.0))
Layout = Callable[[Path], Path]


def voxels(seed: int, least: int = -1000, most: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).integers(least, most, SHAPE).astype(np.int16)


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(values, GEOMETRY, "image"), path)


def lesion() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[1, 2:4, 1:3] = 1
    return mask


def mosmed(folder: Path) -> Path:
    for number, grade in enumerate((0, 1, 1, 4), 1):
        write(folder / "COVID19_1110" / "studies" / f"CT-{grade}" / f"study_{number:04}.nii.gz", voxels(number))
    write(folder / "COVID19_1110" / "masks" / "study_0002_mask.nii.gz", lesion())
    return folder


def ct_seg_20(folder: Path) -> Path:
    sides = np.zeros(SHAPE, np.uint8)
    sides[:, :, :4], sides[:, :, 4:] = 1, 2
    for name, grey in (
        ("coronacases_001", voxels(1)),
        ("radiopaedia_10_85902_1", voxels(2, 0, 256)),
        ("radiopaedia_10_85902_3", voxels(3, 0, 256)),
    ):
        write(folder / "COVID-19-CT-Seg_20cases" / f"{name}.nii.gz", grey)
        write(folder / "Lung_Mask" / f"{name}.nii.gz", sides)
        write(folder / "Infection_Mask" / f"{name}.nii.gz", lesion())
    return folder


def stoic(folder: Path) -> Path:
    for number in (1, 22):
        write(folder / "data" / "mha" / f"{number}.mha", voxels(number))
    (folder / "metadata").mkdir()
    rows = ["PatientID,probCOVID,probSevere", "1,1,0", "22,0,0", "333,1,1", ""]
    (folder / "metadata" / "reference.csv").write_text("\n".join(rows))
    return folder


def mitoem(folder: Path) -> Path:
    random = np.random.default_rng(5)
    for name, suffix, numbers in (
        ("im", "im{:04}.png", range(6)),
        ("mito-train-v2", "seg{:04}.tif", range(3)),
        ("mito-val-v2", "seg{:04}.tif", (3, 4)),
    ):
        (folder / name).mkdir(parents=True)
        for number in numbers:
            pixels = random.integers(0, 200, (16, 16)).astype(np.uint8 if name == "im" else np.uint16)
            Image.fromarray(pixels).save(folder / name / suffix.format(number))
    return folder


def prostate(folder: Path) -> Path:
    """A task of two channels and two classes."""
    for place in ("imagesTr", "labelsTr"):
        (folder / place).mkdir(parents=True)
    both = np.stack([voxels(1), voxels(2)])
    image = sitk.JoinSeries([sitk.GetImageFromArray(one) for one in both])
    sitk.WriteImage(image, folder / "imagesTr" / "prostate_00.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(lesion() * 2), folder / "labelsTr" / "prostate_00.nii.gz")
    pairs = [{"image": "./imagesTr/prostate_00.nii.gz", "label": "./labelsTr/prostate_00.nii.gz"}]
    labels = {"0": "background", "1": "PZ", "2": "TZ"}
    table = {"modality": {"0": "T2", "1": "ADC"}, "labels": labels, "training": pairs}
    (folder / "dataset.json").write_text(json.dumps(table))
    return folder


def imported(name: str, layout: Layout, folder: Path, part: str = "all", *, truth: bool = True) -> Cohort:
    """The cohort of a data set, read as any other."""
    import_set(name, layout(folder / "set"), folder / "cohort", part, truth=truth)
    return read_cohort(folder / "cohort")


def test_the_table_has_every_reader_and_describes_it() -> None:
    assert set(public_sets()) == set(READERS) == set(listed_sets()["data set"])
    for name, about in public_sets().items():
        lines = " ".join(described(name))
        assert all(text in lines for text in (about.title, about.source, about.licence, about.cite, *about.layout))


def test_the_documentation_names_every_data_set_with_its_licence() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for name, about in public_sets().items():
        section = page.partition(f"## `{name}`")[2].partition("\n## ")[0]
        assert section, name
        for text in (about.title, about.source, about.licence, about.cite):
            assert text in " ".join(section.split()), (name, text)


def test_mosmed_has_a_grade_of_both_lungs(tmp_path: Path) -> None:
    found = imported("mosmed", mosmed, tmp_path)
    assert [(case.name, dict(case.scores)) for case in found.cases] == [
        *(("study_0001", {1: 0}), ("study_0002", {1: 1}), ("study_0003", {1: 1}), ("study_0004", {1: 4}))
    ]
    assert found.region_names == {1: "lungs"}
    assert found.score_map.interval(1) == (0.0, 0.25)
    assert [case.truth is not None for case in found.cases] == [False, True, False, False]
    assert found.cases[0].image.samefile(tmp_path / "set/COVID19_1110/studies/CT-0/study_0001.nii.gz")
    truth = usable_truth(found.cases[1], GEOMETRY)
    assert truth is not None
    np.testing.assert_array_equal(truth.voxels, lesion())


@pytest.mark.parametrize(("part", "names"), [("masks", ["study_0002"]), ("rest", ["study_0001", "study_0003"])])
def test_mosmed_in_parts(part: str, names: list[str], tmp_path: Path) -> None:
    found = read_public("mosmed", mosmed(tmp_path), part)
    assert [case.name for case in found.cohort.cases][:2] == names


def test_ct_seg_20_gets_hounsfield_units_scores_and_patients(tmp_path: Path) -> None:
    found = imported("covid-ct-seg-20", ct_seg_20, tmp_path)
    by_name = {case.name: case for case in found.cases}
    plain = by_name["coronacases_001"]
    np.testing.assert_array_equal(read_volume(plain.image).voxels, voxels(1))
    # 4 of 96 voxels of the left lung
    assert dict(plain.scores) == {1: 1, 2: 0}
    grey = voxels(2, 0, 256)
    expected = np.rint(-1250 + grey.astype(np.float32) * (1500 / 255))
    np.testing.assert_array_equal(read_volume(by_name["radiopaedia_10_85902_1"].image).voxels, expected)
    assert {case.patient for case in found.cases} == {"coronacases_001", "radiopaedia_10"}


def test_stoic_has_classes_and_notes_the_missing_scan(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = imported("stoic2021", stoic, tmp_path)
    presence = {case.name: dict(case.presence[None]) for case in found.cases}
    assert presence == {"1": {"covid": True, "severe": False}, "22": {"covid": False, "severe": False}}
    assert "1 of the 3 patients in reference.csv have no scan here" in "".join(capfd.readouterr())


@pytest.mark.parametrize(("part", "sections"), [("all", {"set_train": 3, "set_val": 2}), ("val", {"set_val": 2})])
def test_mitoem_has_a_stack_for_each_part(part: str, sections: dict[str, int], tmp_path: Path) -> None:
    found = imported("mitoem", mitoem, tmp_path, part)
    assert {case.name: read_volume(case.image).voxels.shape[0] for case in found.cases} == sections
    assert all(case.truth_kind == "instances" for case in found.cases)
    last = next(case for case in found.cases if case.name == "set_val")
    assert last.truth is not None
    np.testing.assert_array_equal(
        read_volume(last.truth, "label").voxels[0], np.asarray(Image.open(tmp_path / "set/mito-val-v2/seg0003.tif"))
    )


@pytest.mark.parametrize(("channel", "seed"), [("T2", 1), ("ADC", 2)])
def test_a_channel_of_a_decathlon_task_is_the_image(channel: str, seed: int, tmp_path: Path) -> None:
    found = imported("decathlon", prostate, tmp_path, channel)
    (case,) = found.cases
    np.testing.assert_array_equal(read_volume(case.image).voxels, voxels(seed))
    assert case.truth_kind == "classes"
    truth = usable_truth(case, read_volume(case.image).geometry)
    assert truth is not None
    np.testing.assert_array_equal(truth.voxels, lesion() * 2)


def test_the_truth_may_be_left_out_and_files_copied(tmp_path: Path) -> None:
    found = imported("mosmed", mosmed, tmp_path, truth=False)
    assert all(case.truth is None for case in found.cases)
    import_set("mosmed", tmp_path / "set", tmp_path / "copied", copy=True)
    copied = tmp_path / "copied" / "images" / "study_0001.nii.gz"
    assert copied.stat().st_nlink == 1
    assert copied.read_bytes() == found.cases[0].image.read_bytes()


def test_existing_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cohort").mkdir()
    with pytest.raises(UserError, match=r"cohort: exists; choose a new folder"):
        import_set("mosmed", mosmed(tmp_path / "set"), tmp_path / "cohort")


def without(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


def doubled(folder: Path) -> None:
    studies = folder / "COVID19_1110" / "studies"
    write(studies / "CT-4" / "study_0001.nii.gz", voxels(1))


def reference(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "metadata" / "reference.csv").write_text(text) and None


def elsewhere(folder: Path) -> None:
    table = json.loads((folder / "dataset.json").read_text())
    table["training"][0]["image"] = "../secret.nii.gz"
    (folder / "dataset.json").write_text(json.dumps(table))


@pytest.mark.parametrize(
    ("name", "layout", "harm", "part", "message"),
    [
        ("mosmed", mosmed, doubled, "all", r"CT-4/study_0001.nii.gz: .*is the same study; expected one grade"),
        ("mosmed", mosmed, None, "train", r"mosmed has no part 'train'; expected all, masks, rest"),
        ("mosmets", mosmed, None, "all", r"unknown data set 'mosmets'; expected one of mosmed"),
        ("mosmed", stoic, None, "all", r"has no studies in it; unpack the data set there"),
        (
            "covid-ct-seg-20",
            ct_seg_20,
            without("Infection_Mask/coronacases_001.nii.gz"),
            "all",
            r"coronacases_001.nii.gz: no such file; fetch",
        ),
        ("stoic2021", stoic, reference("PatientID,probCOVID\n1,1\n"), "all", r"has no column probSevere"),
        ("stoic2021", stoic, reference("PatientID,probCOVID,probSevere\n1,7,0\n"), "all", r"probCOVID 7; expected 0"),
        ("stoic2021", stoic, reference("PatientID,probCOVID,probSevere\n9,1,0\n"), "all", r"none of the scans"),
        ("mitoem", mitoem, without("im/im0001.png"), "all", r"labels of section 1, which im/ has not"),
        ("decathlon", prostate, None, "all", r"has the channels T2, ADC, one of them becomes the image; choose"),
        ("decathlon", prostate, None, "CT", r"has the channels T2, ADC, 'CT' is asked for"),
        ("decathlon", prostate, elsewhere, "T2", r"names '../secret.nii.gz', which is not in its folder"),
        ("decathlon", prostate, without("labelsTr/prostate_00.nii.gz"), "T2", r"no such file; dataset.json names it"),
    ],
)
def test_what_is_missing_or_faulty_is_one_line(
    name: str, layout: Layout, harm: Callable[[Path], None] | None, part: str, message: str, tmp_path: Path
) -> None:
    folder = layout(tmp_path / "set")
    if harm is not None:
        harm(folder)
    with pytest.raises(UserError, match=message) as caught:
        import_set(name, folder, tmp_path / "cohort", part)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cohort").exists()
