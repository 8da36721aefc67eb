"""A cohort with any weak label: classes of images or regions, scores beside them, sheets, or no table at all."""

from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook
from PIL import Image
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.datasets.cohort import cases_with, check_cohort, read_cohort
from weakmask.errors import UserError

PRESENCE = "image,cat,dog,bird,patient\na,1,0,0,p1\nb,0,1,,p2\nc,0,0,0,p2\n"


def photographs(folder: Path, table: str = PRESENCE) -> Path:
    """Three colour photographs of 20 x 30 pixels."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for name in "abc":
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), np.uint8)).save(folder / "images" / f"{name}.jpg")
    if table:
        (folder / "labels.csv").write_text(table)
    return folder


def test_photographs_with_classes_pass_the_check_and_become_cases(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort")
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 0, result.output
    cohort = check_cohort(folder)
    assert cohort.faults == ()
    assert cohort.classes == ("cat", "dog", "bird")
    assert [(case.name, case.group, case.regions, dict(case.scores)) for case in cohort.cases] == [
        ("a", "p1", None, {}),
        ("b", "p2", None, {}),
        ("c", "p2", None, {}),
    ]
    a, b, c = (case.presence[None] for case in cohort.cases)
    assert a == {"cat": True, "dog": False, "bird": False}
    assert b == {"cat": False, "dog": True}  # no value for bird: unknown
    assert c == {"cat": False, "dog": False, "bird": False}


def test_a_sheet_gives_the_same_cases(tmp_path: Path) -> None:
    text, sheet = photographs(tmp_path / "text"), photographs(tmp_path / "sheet", "")
    book = Workbook()
    for line in PRESENCE.splitlines():
        book.worksheets[0].append([int(cell) if cell.isdigit() else cell or None for cell in line.split(",")])
    book.save(sheet / "labels.xlsx")
    found = [[(case.name, case.patient, case.presence) for case in read_cohort(path).cases] for path in (text, sheet)]
    assert found[0] == found[1]
    (sheet / "labels.csv").write_text(PRESENCE)
    with pytest.raises(UserError, match=r"two tables, labels\.csv and labels\.xlsx; keep"):
        read_cohort(sheet)


def test_scores_and_classes_go_together(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort", "image,region,label\na,left,cat\na,right,\nb,image,dog\n")
    (folder / "scores.csv").write_text("scan,left,right,patient\na,0,3,p1\nc,1,2,p9\n")
    cohort = read_cohort(folder)
    cases = {case.name: case for case in cohort.cases}
    assert list(cases) == ["a", "c", "b"]
    assert cases["a"].scores == {1: 0, 2: 3}
    assert cases["a"].presence == {1: {"cat": True, "dog": False}, 2: {"cat": False, "dog": False}}
    assert cases["a"].patient == "p1"
    assert cases["b"].presence == {None: {"cat": False, "dog": True}}
    assert cases["c"].presence == {}
    assert [case.name for case in cases_with(cohort, "scores")] == ["a", "c"]
    assert [case.name for case in cases_with(cohort, "presence")] == ["a", "b"]


def test_two_tables_must_agree_on_the_patient(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort")
    (folder / "scores.csv").write_text("scan,image,patient\na,0,p7\nb,1,p2\n")
    cohort = read_cohort(folder)
    assert [case.name for case in cohort.cases] == ["b", "c"]
    assert cohort.faults[0].message == ("labels.csv: a has the patient 'p1', in scores.csv 'p7'; correct one of them")


def test_an_unknown_region_of_a_class_costs_the_image(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort", "image,region,label\na,left,cat\nb,rihgt,cat\n")
    cohort = read_cohort(folder)
    assert [case.name for case in cohort.cases] == ["a"]
    assert "labels.csv: b has the unknown region 'rihgt'; did you mean 'right'?" in cohort.faults[0].message


def test_without_any_table_every_image_is_a_case_and_a_method_says_what_it_misses(tmp_path: Path) -> None:
    cohort = read_cohort(photographs(tmp_path / "cohort", ""))
    assert [(fault.fatal, fault.message.split(":")[0]) for fault in cohort.faults] == [(False, "scores.csv")]
    assert [case.name for case in cohort.cases] == ["a", "b", "c"]
    for need, words in (
        ("scores", r"no image has a score per region; give a table scores\.csv"),
        ("presence", r"no image has a known class; give a table labels\.csv"),
        ("truth", r"no image has true masks; give truth/NAME\.nii\.gz"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            cases_with(cohort, need)  # pyright: ignore[reportArgumentType]
        assert "\n" not in str(caught.value)


def test_the_truth_has_one_folder_and_says_its_kind(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort")
    (folder / "truth").mkdir()
    Image.fromarray(np.full((20, 30), 17, np.uint8)).save(folder / "truth" / "a.png")
    cohort = check_cohort(folder)
    assert cohort.cases[0].truth is None  # 17 is no lesion subtype
    assert [fault.message for fault in cohort.faults] == [
        "truth/a.png: has the labels 17; expected 0 to 3 or just 0 and 1; the truth is not used"
    ]
    (folder / "truth.yaml").write_text("kind: classes\n")
    cohort = check_cohort(folder)
    assert cohort.faults == ()
    assert (cohort.cases[0].truth, cohort.cases[0].truth_kind) == (folder / "truth" / "a.png", "classes")
    (folder / "lesions").mkdir()
    assert check_cohort(folder).faults == ()  # an empty folder is none
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(folder / "lesions" / "a.png")
    with pytest.raises(UserError, match="two folders with the truth, truth/ and lesions/; keep"):
        read_cohort(folder)


@pytest.mark.parametrize("content", ["kind: lesions\n", "binary\n", "kind: binary\nlabels: {a: 1}\n", "{"])
def test_a_truth_yaml_that_says_nothing_is_one_clean_line(tmp_path: Path, content: str) -> None:
    folder = photographs(tmp_path / "cohort")
    (folder / "truth.yaml").write_text(content)
    with pytest.raises(UserError, match=r"truth\.yaml") as caught:
        read_cohort(folder)
    assert "\n" not in str(caught.value)


def test_a_class_of_a_region_without_voxels_is_not_used(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort", "image,region,label\na,left,cat\na,right,\nb,left,\n")
    (folder / "regions").mkdir()
    for name in "ab":
        Image.fromarray(np.ones((20, 30), np.uint8)).save(folder / "regions" / f"{name}.png")
    cohort = check_cohort(folder)
    assert [dict(case.presence) for case in cohort.cases] == [{1: {"cat": True}}, {1: {"cat": False}}]
    assert [fault.message for fault in cohort.faults if fault.scan == "a"] == [
        "regions/a.png: region right (label 2) has no voxel; its score is not used"
    ]


def test_region_masks_without_any_weak_label_are_fine(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort", "")
    (folder / "regions").mkdir()
    Image.fromarray(np.ones((20, 30), np.uint8)).save(folder / "regions" / "a.png")
    cohort = check_cohort(folder)
    assert [case.regions is None for case in cohort.cases] == [False, True, True]


def test_an_empty_regions_folder_is_none(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort", "")
    (folder / "scores.csv").write_text("scan,LUL\na,1\nb,2\n")
    (folder / "regions").mkdir()
    cohort = read_cohort(folder)
    assert [case.regions for case in cohort.cases] == [None, None]
    assert [fault.scan for fault in cohort.faults] == ["c"]


def test_a_missing_region_mask_says_how_to_make_it(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "cohort", "")
    (folder / "scores.csv").write_text("scan,LUL\na,1\nb,2\n")
    (folder / "regions").mkdir()
    (folder / "regions" / "a.png").touch()
    message = next(fault.message for fault in read_cohort(folder).faults if fault.scan == "b")
    assert message == (
        "regions/b: no such file; add regions/b.nii.gz or take b out of scores.csv, "
        f"or run `weakmask lobes {folder / 'images'} --out {folder / 'regions'}`"
    )
