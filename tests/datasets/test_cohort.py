"""The cohort folder's tables and files: what is read, what each fault costs, and the line that says it."""

import re
from pathlib import Path

import pytest

from weakmask.datasets.case import Case, Cohort, Fault, NoUsableScanError
from weakmask.datasets.cohort import read_cohort
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY

LONG = "scan,region,score\na,left,0\na,right,2\nb,left,1\nb,right,5\n"


def make(folder: Path, table: str = LONG, files: tuple[str, ...] = ("images/a.nii.gz", "images/b.nii.gz")) -> Path:
    """A cohort whose files are empty: `read_cohort` only looks whether they are there."""
    (folder / "images").mkdir(parents=True)
    (folder / "scores.csv").write_text(table)
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()
    return folder


def only_fault(cohort: Cohort) -> Fault:
    assert len(cohort.faults) == 1, cohort.faults
    fault = cohort.faults[0]
    assert "\n" not in fault.message
    assert fault.message.startswith(fault.file)
    return fault


def test_a_good_cohort(tmp_path: Path) -> None:
    folder = make(
        tmp_path / "cohort",
        files=(
            *("images/a.nii.gz", "images/b.mha", "images/.DS_Store", "images/notes.txt"),
            *("regions/a.nii.gz", "regions/b.nrrd", "lesions/b.nii.gz"),
        ),
    )
    cohort = read_cohort(folder)
    assert cohort.faults == ()
    assert cohort.folder == folder
    assert cohort.score_map == CT_SEVERITY
    assert cohort.region_names == {1: "left", 2: "right"}
    assert cohort.cases == (
        Case("a", folder / "images/a.nii.gz", folder / "regions/a.nii.gz", None, {1: 0, 2: 2}),
        Case("b", folder / "images/b.mha", folder / "regions/b.nrrd", folder / "lesions/b.nii.gz", {1: 1, 2: 5}),
    )
    assert cohort.cases[0].group == "a"


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("scan,LUL,LLL,RUL,RML,RLL\na,0,1,2,3,4\n", {1: "LUL", 2: "LLL", 3: "RUL", 4: "RML", 5: "RLL"}),
        ("scan,region,score\na,LUL,0\na,rll,4.0\n", {1: "LUL", 2: "LLL", 3: "RUL", 4: "RML", 5: "RLL"}),
        ("scan,right,left\na,3,4\n", {1: "left", 2: "right"}),
        ("scan,region,score\na,9,0\na,14,1\n", {9: "9", 14: "14"}),
        ("scan,1,2\na,0,1\n", {1: "1", 2: "2"}),
        ("scan,image\na,3\n", {1: "image"}),
    ],
)
def test_names_and_labels_wide_and_long(tmp_path: Path, table: str, names: dict[int, str]) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", table, ("images/a.png",)))
    assert cohort.faults == ()
    assert cohort.region_names == names
    assert set(cohort.cases[0].scores) <= set(names)


def test_both_shapes_of_the_table_say_the_same(tmp_path: Path) -> None:
    long = "scan,region,score\na,LUL,0\na,LLL,1\na,RUL,2\na,RML,3\na,RLL,4\n"
    wide = "scan,LUL,LLL,RUL,RML,RLL\na,0,1,2,3,4\n"
    numbers = "scan,region,score\na,1,0\na,2,1\na,3,2\na,4,3\na,5,4\n"
    found = [
        read_cohort(make(tmp_path / name, table, ("images/a.nii",))).cases[0].scores
        for name, table in (("long", long), ("wide", wide), ("numbers", numbers))
    ]
    assert found == [{1: 0, 2: 1, 3: 2, 4: 3, 5: 4}] * 3


def test_a_regions_yaml_gives_the_labels_of_another_tool(tmp_path: Path) -> None:
    folder = make(tmp_path / "cohort", "scan,LUL,RML\na,1,2\n", ("images/a.nii.gz",))
    (folder / "regions.yaml").write_text("numbering: totalsegmentator\n")
    cohort = read_cohort(folder)
    assert cohort.cases[0].scores == {10: 1, 13: 2}
    assert cohort.region_names[14] == "RLL"


def test_a_regions_yaml_gives_names_of_one_s_own(tmp_path: Path) -> None:
    folder = make(tmp_path / "cohort", "scan,region,score\na,upper,1\na,11,2\n", ("images/a.nii.gz",))
    (folder / "regions.yaml").write_text("labels: {upper: 9, lower: 11}\n")
    cohort = read_cohort(folder)
    assert cohort.cases[0].scores == {9: 1, 11: 2}
    assert cohort.region_names == {9: "upper", 11: "lower"}


def test_a_scores_yaml_gives_another_scale(tmp_path: Path) -> None:
    folder = make(tmp_path / "cohort", "scan,region,score\na,left,7\na,right,0\n", ("images/a.nii.gz",))
    (folder / "scores.yaml").write_text("percent: {0: [0, 50], 7: [50, 100]}\n")
    cohort = read_cohort(folder)
    assert cohort.score_map.interval(7) == (0.5, 1.0)
    assert cohort.cases[0].scores == {1: 7, 2: 0}


def test_a_dicom_folder_is_an_image_wherever_it_really_lies(tmp_path: Path) -> None:
    folder = make(tmp_path / "cohort", files=())
    (folder / "images" / "a").mkdir()
    (tmp_path / "series").mkdir()
    (folder / "images" / "b").symlink_to(tmp_path / "series")
    cohort = read_cohort(folder)
    assert [case.image for case in cohort.cases] == [folder / "images" / "a", folder / "images" / "b"]
    assert cohort.faults == ()


def test_patients_reach_the_cases(tmp_path: Path) -> None:
    table = "scan,region,score,patient\na,left,1,p\nb,left,2,p\n"
    cohort = read_cohort(make(tmp_path / "cohort", table))
    assert [case.group for case in cohort.cases] == ["p", "p"]


def test_a_missing_image_costs_its_scan(tmp_path: Path) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", files=("images/a.nii.gz",)))
    assert [case.name for case in cohort.cases] == ["a"]
    assert only_fault(cohort) == Fault(
        "b", "images/b", "images/b: no such file; add images/b.nii.gz or take b out of scores.csv", fatal=True
    )


def test_a_near_miss_in_a_name_is_told(tmp_path: Path) -> None:
    table = "scan,region,score\n7,left,1\nscan_12,left,1\nok,left,1\n"
    files = ("images/007.nii.gz", "images/scan-12.nii.gz", "images/ok.nii.gz")
    cohort = read_cohort(make(tmp_path / "cohort", table, files))
    messages = [fault.message for fault in cohort.faults]
    assert messages[0] == "images/7: no such file; did a spreadsheet take the zeros off '007'?"
    assert messages[1] == "images/scan_12: no such file; did you mean 'scan-12'?"


def test_a_missing_region_mask_costs_its_scan_where_others_have_one(tmp_path: Path) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", files=("images/a.nii", "images/b.nii", "regions/a.nii")))
    assert [case.name for case in cohort.cases] == ["a"]
    assert only_fault(cohort).message.startswith("regions/b: no such file; add regions/b.nii.gz")


def test_truth_may_be_missing(tmp_path: Path) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", files=("images/a.nii", "images/b.nii", "lesions/a.nii")))
    assert [case.truth is None for case in cohort.cases] == [False, True]
    assert cohort.faults == ()


@pytest.mark.parametrize(("kind", "left"), [("images", ["b"]), ("regions", ["b"]), ("lesions", ["a", "b"])])
def test_two_files_for_one_scan(tmp_path: Path, kind: str, left: list[str]) -> None:
    files = tuple(f"{k}/{n}.nii.gz" for k in ("images", "regions", "lesions") for n in "ab")
    cohort = read_cohort(make(tmp_path / "cohort", files=(*files, f"{kind}/a.mha")))
    assert [case.name for case in cohort.cases] == left
    fault = only_fault(cohort)
    assert fault.message == f"{kind}/a.mha: a has two files here, a.mha and a.nii.gz; keep one"
    assert fault.fatal == (kind != "lesions")
    if kind == "lesions":
        assert cohort.cases[0].truth is None


@pytest.mark.parametrize("score", ["7", "two", "2.5", "-1", "inf", "1e999", "4 or 5", "#REF!"])
def test_a_wrong_score_costs_the_scan(tmp_path: Path, score: str) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", LONG.replace("a,left,0", f"a,left,{score}")))
    assert [case.name for case in cohort.cases] == ["b"]
    assert only_fault(cohort) == Fault(
        "a",
        "scores.csv",
        f"scores.csv line 2 (a): score {score!r} of region left is not one of 0, 1, 2, 3, 4, 5; "
        "correct the line; until then a is left out",
        fatal=True,
    )


def test_an_empty_score_costs_the_region(tmp_path: Path) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", LONG.replace("a,left,0", "a,left,")))
    assert [dict(case.scores) for case in cohort.cases] == [{2: 2}, {1: 1, 2: 5}]
    fault = only_fault(cohort)
    assert fault.message == "scores.csv line 2 (a): the score of region left is empty; the region is not used"
    assert not fault.fatal


def test_a_region_without_a_row_is_told_and_the_others_are_used(tmp_path: Path) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", LONG.replace("b,left,1\n", "")))
    assert cohort.cases[1].scores == {2: 5}
    fault = only_fault(cohort)
    assert fault.message == "scores.csv: b has no score for left; its other regions are used"
    assert not fault.fatal


@pytest.mark.parametrize(("row", "region"), [("a,left,3", "left"), ("a,1,3", "1")])
def test_a_region_scored_twice_otherwise_costs_the_scan(tmp_path: Path, row: str, region: str) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", LONG + row + "\n"))
    assert [case.name for case in cohort.cases] == ["b"]
    fault = only_fault(cohort)
    assert fault.fatal
    assert fault.message == (
        f"scores.csv line 6 (a): region {region} is scored twice, '0' in line 2 and {row[-1]!r} in line 6; "
        "correct the line; until then a is left out"
    )


@pytest.mark.parametrize(
    ("region", "hint"), [("rihgt", "did you mean 'right'?"), ("3", "the regions are left, right"), ("", "the regions")]
)
def test_an_unknown_region_costs_the_scan(tmp_path: Path, region: str, hint: str) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", LONG.replace("a,right", f"a,{region}")))
    assert [case.name for case in cohort.cases] == ["b"]
    fault = only_fault(cohort)
    assert fault.fatal
    assert f"scores.csv line 3 (a): unknown region {region!r}; {hint}" in fault.message


def test_a_line_of_the_wrong_length_costs_its_scan(tmp_path: Path) -> None:
    cohort = read_cohort(make(tmp_path / "cohort", LONG.replace("a,left,0", "a,left")))
    assert [case.name for case in cohort.cases] == ["b"]
    assert (
        only_fault(cohort).message
        == "scores.csv line 2 (a): has 2 cells; expected 3; correct the line; until then a is left out"
    )


def test_a_scan_without_any_score_is_left_out(tmp_path: Path) -> None:
    cohort = read_cohort(
        make(tmp_path / "cohort", LONG.replace("b,left,1", "b,left,").replace("b,right,5", "b,right,"))
    )
    assert [case.name for case in cohort.cases] == ["a"]
    assert cohort.faults[-1] == Fault(
        "b", "scores.csv", "scores.csv: b has no score at all; the scan is left out", fatal=True
    )


def test_an_image_without_a_row_is_only_noted(tmp_path: Path) -> None:
    files = ("images/a.nii.gz", "images/b.nii.gz", "images/c.nii.gz")
    fault = only_fault(read_cohort(make(tmp_path / "cohort", files=files)))
    assert fault.message == "images/c.nii.gz: no row in scores.csv names c; the image is not used"
    assert not fault.fatal


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "scan,LUL,LLL,age\na,1,2,70\n",
            "unknown column 'age'; .* RML, RLL; delete the column, or name the region in regi",
        ),
        (
            "scan,LUL,Age,CRP\na,1,63,4.5\n",
            "unknown columns 'Age', 'CRP'; the regions are .*; delete the columns, or na",
        ),
        (
            "scan,LUL,RLM,patent,age\na,1,2,p,70\n",
            "columns 'RLM', 'patent', 'age'; did you mean 'R.*' or 'patient'.* delete the other column, or",
        ),
        ("scan,LUL,RLM\na,1,2\n", "unknown column 'RLM'; did you mean 'R"),
        (
            "scan,upper,lower\na,1,2\n",
            "unknown columns 'upper', 'lower'; .*; delete the columns, or name the region in regions.yaml",
        ),
    ],
)
def test_an_unknown_column_is_one_clean_line(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_cohort(make(tmp_path / "cohort", table, ("images/a.nii",)))
    assert "\n" not in str(caught.value)


def test_what_is_no_cohort_is_one_clean_line(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no such folder; expected a cohort with scores\.csv or labels\.csv, and images"
    ):
        read_cohort(tmp_path / "nowhere")
    with pytest.raises(UserError, match=rf"^nowhere: no such folder in {re.escape(str(Path.cwd()))}; expected"):
        read_cohort(Path("nowhere"))  # as a run names it that was trained in another working directory
    with pytest.raises(UserError, match="no folder images/ in it"):
        read_cohort(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(NoUsableScanError, match=r"no scan can be used \(1 fault\)"):
        read_cohort(tmp_path)


def test_a_cohort_of_which_nothing_is_left_is_one_clean_line_and_all_faults(tmp_path: Path) -> None:
    with pytest.raises(
        NoUsableScanError, match=r"no scan can be used \(2 faults\); the first fault: images/a: no such file"
    ) as caught:
        read_cohort(make(tmp_path / "cohort", files=()))
    assert isinstance(caught.value, UserError)
    assert [fault.scan for fault in caught.value.faults] == ["a", "b"]
    assert "\n" not in str(caught.value)


def test_names_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "cohort", LONG + "../secret,left,1\n")
    (tmp_path / "secret.nii.gz").touch()
    cohort = read_cohort(folder)
    assert [case.name for case in cohort.cases] == ["a", "b"]
    assert any(fault.scan == "../secret" and fault.fatal for fault in cohort.faults)
