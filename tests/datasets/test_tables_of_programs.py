"""Label tables as Excel, pandas, R, Google Sheets and REDCap write them: the same cohort every time."""

import contextlib
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from weakmask.datasets.case import Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.cohort_labels import read_labels
from weakmask.datasets.label_table import read_label_table
from weakmask.datasets.score_table import read_score_table
from weakmask.errors import UserError

LOBES = ("LUL", "LLL", "RUL", "RML", "RLL")
SCORES = {"p1": {1: 4, 2: 2, 3: 1, 4: 1, 5: 2}, "p2": {1: 3, 2: 3, 3: 2, 4: 1, 5: 2}}
LONG = [(scan, LOBES[label - 1], score) for scan, scores in SCORES.items() for label, score in scores.items()]
WIDE = [(scan, *scores.values()) for scan, scores in SCORES.items()]
FRAME = pd.DataFrame(LONG, columns=["scan", "region", "score"])


def cohort(folder: Path, table: str | bytes, images: Sequence[str] = ("p1", "p2"), file: str = "scores.csv") -> Cohort:
    """A cohort whose images are empty files: `read_cohort` only looks whether they are there."""
    (folder / "images").mkdir(parents=True)
    for name in images:
        (folder / "images" / f"{name}.nii.gz").touch()
    (folder / file).write_bytes(table.encode() if isinstance(table, str) else table)
    return read_cohort(folder)


def lines(rows: Sequence[Sequence[object]], mark: str = ",", quote: str = "") -> str:
    return "".join(mark.join(f"{quote}{cell}{quote}" for cell in row) + "\r\n" for row in rows)


def german(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    return [[f"{cell},0" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]


HEAD = [("scan", "region", "score")]
WHOLE = {
    "Excel, German": "\ufeff" + lines(HEAD + german(LONG), ";"),
    "Excel, French, told the separator": "\ufeffsep=;\r\n" + lines(HEAD + german(LONG), ";"),
    "Excel, quoted separator line": '"sep=;"\r\n' + lines(HEAD + german(LONG), ";"),
    "Excel, Unicode text": lines(HEAD + german(LONG), "\t").encode("utf-16"),
    "Google Sheets, German": lines(HEAD + german(LONG), ",", '"'),
    "pandas, with its index": FRAME.to_csv(),
    "pandas, read and written again": pd.read_csv(io.StringIO(FRAME.to_csv())).to_csv(),
    "pandas, a filtered table": FRAME.set_index(FRAME.index * 3 + 7).to_csv(),
    "pandas, regions as floats": FRAME.assign(region=[float(1 + LOBES.index(r)) for r in FRAME["region"]]).to_csv(),
    "pandas, scores as floats": FRAME.assign(score=FRAME["score"].astype(float)).to_csv(index=False),
    "R, write.csv": lines([("", "scan", "region", "score")] + [(k, *row) for k, row in enumerate(LONG, 1)], ",", '"'),
    "R, write.table": lines(HEAD + [(k, *row) for k, row in enumerate(LONG, 1)], ",", '"'),
    "R, read and written again": lines([("X", *HEAD[0])] + [(k, *row) for k, row in enumerate(LONG, 1)]),
    "R, numbers as columns": lines([("scan", "X1", "X2", "X3", "X4", "X5"), *WIDE]),
    "REDCap": lines(
        [("record_id", "redcap_event_name", *map(str.lower, LOBES), "severity_complete")]
        + [(scan, "visit_1_arm_1", *scores, 2) for scan, *scores in WIDE]
    ),
    "REDCap, coded choices": lines(
        [("record_id", *LOBES)] + [(scan, *(f"{score}, Grade" for score in scores)) for scan, *scores in WIDE], ",", '"'
    ),
    "a list of files": lines(HEAD + [(f"{scan}.nii.gz", *rest) for scan, *rest in LONG]),
    "a list of paths": lines(HEAD + [(f"images/{scan}.nii.gz", *rest) for scan, *rest in LONG]),
    "a list of Windows paths": lines(HEAD + [(f"C:\\data\\images\\{scan}.NII.GZ", *rest) for scan, *rest in LONG]),
    "every row twice": lines(HEAD + LONG + LONG),
    "wide and twice": lines([("scan", *LOBES), *WIDE, *WIDE]),
    "an old Macintosh": lines(HEAD + LONG).replace("\r\n", "\r"),
}


@pytest.mark.parametrize("table", WHOLE.values(), ids=WHOLE.keys())
def test_every_program_s_table_is_the_same_cohort(tmp_path: Path, table: str | bytes) -> None:
    found = cohort(tmp_path / "cohort", table)
    assert [fault.message for fault in found.faults if fault.fatal] == []
    assert {case.name: dict(case.scores) for case in found.cases} == SCORES


@pytest.mark.parametrize(
    "word", ["NA", "nan", "NaN", "#N/A", "N/A", "n/a", "-", "", "None", "NULL", "<NA>", "#NV", "\u2013", ".", "?"]
)
@pytest.mark.parametrize("wide", [False, True])
def test_a_missing_score_costs_the_region_alone(tmp_path: Path, word: str, *, wide: bool) -> None:
    rows = [("scan", *LOBES), ("p1", 4, 2, 1, word, 2), WIDE[1]] if wide else HEAD + LONG[:3] + [("p1", "RML", word)]
    found = cohort(tmp_path / "cohort", lines(rows))
    assert 4 not in found.cases[0].scores
    assert found.cases[0].scores[1] == 4
    assert [fault.scan for fault in found.faults if "RML" in fault.message] == ["p1"]
    assert not any(fault.fatal for fault in found.faults if fault.scan == "p1")


@pytest.mark.parametrize("word", ["NA", "nan", "#N/A", "-", "None", ""])
@pytest.mark.parametrize("file", ["scores.csv", "labels.csv"])
def test_a_missing_patient_is_no_patient(tmp_path: Path, word: str, file: str) -> None:
    columns = ("scan", "image", "patient") if file == "scores.csv" else ("image", "pneumonia", "patient")
    table = lines([columns, ("p1", 1, word), ("p2", 0, word), ("p3", 0, "anna"), ("p4", 1, "anna")])
    found = cohort(tmp_path / "cohort", table, ("p1", "p2", "p3", "p4"), file)
    assert [case.group for case in found.cases] == ["p1", "p2", "anna", "anna"]
    notes = [fault.message for fault in found.faults]
    expected = f"{file}: the patient of 2 scans is {word!r}, missing; each of them counts as a patient of its own"
    assert notes == ([expected] if word else [])


@pytest.mark.parametrize("number", ["12.0", "12,0"])
def test_a_patient_that_one_line_names_is_known_in_the_others(tmp_path: Path, number: str) -> None:
    rows = [(*HEAD[0], "patient"), ("p1", "LUL", 1, "NA"), ("p1", "LLL", 1, number), ("p2", "LUL", 1, "12")]
    table = lines(rows, ";")
    found = cohort(tmp_path / "cohort", table)
    assert [case.group for case in found.cases] == ["12", "12"]
    assert not any(fault.fatal for fault in found.faults)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_are_compared_in_one_form_of_unicode(tmp_path: Path, forms: tuple[str, str]) -> None:
    spelt = {"NFC": "M\u00fcller", "NFD": unicodedata.normalize("NFD", "M\u00fcller")}
    in_table, on_disk = (spelt[form] for form in forms)
    found = cohort(tmp_path / "cohort", lines([*HEAD, (in_table, "LUL", 3)]), (on_disk,))
    assert [case.name for case in found.cases] == ["M\u00fcller"]
    assert found.faults == ()


def test_files_of_two_folders_are_not_one_image(tmp_path: Path) -> None:
    rows = [*HEAD, ("site_a/p1.nii.gz", "LUL", 1), ("site_b/p1.nii.gz", "LLL", 2), ("images/p2.nii.gz", "LUL", 1)]
    rows += [("cohort/images/p2.nii.gz", "LLL", 1)]
    found = cohort(tmp_path / "cohort", lines(rows))
    assert [case.name for case in found.cases] == ["p2"]
    (fault,) = [fault for fault in found.faults if fault.fatal]
    assert fault.message == (
        "scores.csv: 'site_a/p1.nii.gz' and 'site_b/p1.nii.gz' both mean the one image p1; give each image a name of "
        "its own; until then p1 is left out"
    )


@pytest.mark.parametrize("number", ["12", "12.0", "12,0"])
def test_a_scan_that_is_a_number_is_known_with_a_decimal(tmp_path: Path, number: str) -> None:
    found = cohort(tmp_path / "cohort", lines([*HEAD, (number, "LUL", 3), ("12.5", "LUL", 1)], ";"), ("12", "12.5"))
    assert [case.name for case in found.cases] == ["12", "12.5"]


def test_a_missing_file_is_asked_for_by_its_own_name(tmp_path: Path) -> None:
    found = cohort(tmp_path / "cohort", lines([*HEAD, *LONG, ("ct/p10.nii.gz", "LUL", 1)]))
    assert "images/p10: no such file" in found.faults[-1].message
    assert ".nii.gz.nii.gz" not in found.faults[-1].message


def test_an_excel_sheet_may_hold_any_of_this(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in (["scan", *LOBES, "patient"], [7, 4.0, "2,0", "NA", None, "1, Mild", "#N/A"], ["p2", 3, 3, 2, 1, 2, 5]):
        sheet.append(row)
    sheet["A2"].number_format = "000"
    book.save(tmp_path / "scores.xlsx")
    (tmp_path / "images").mkdir()
    for name in ("007", "p2"):
        (tmp_path / "images" / f"{name}.nii.gz").touch()
    found = read_cohort(tmp_path)
    assert {case.name: dict(case.scores) for case in found.cases} == {"007": {1: 4, 2: 2, 5: 1}, "p2": SCORES["p2"]}
    assert [case.group for case in found.cases] == ["007", "5"]


def test_an_excel_table_in_a_western_code_page_is_read_with_a_note(tmp_path: Path) -> None:
    table = lines([*HEAD, ("M\u00fcller", "LUL", 3)], ";").encode("cp1252")
    found = cohort(tmp_path / "cohort", table, ("M\u00fcller",))
    assert [case.name for case in found.cases] == ["M\u00fcller"]
    assert [fault.message for fault in found.faults] == [
        "scores.csv: not UTF-8, so it is read as Windows-1252 (Excel's CSV); if names look wrong, save it as CSV UTF-8"
    ]


def test_a_nameless_column_of_scores_is_not_taken_for_row_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown column 'column 4, without a name,'; the regions are LUL"):
        cohort(tmp_path / "cohort", lines([("scan", "LUL", "LLL", "", "RML"), ("p1", 0, 1, 2, 3), ("p2", 0, 1, 2, 3)]))


def test_every_unknown_column_is_named_at_once_up_to_a_screen(tmp_path: Path) -> None:
    many = [f"c{number}" for number in range(3_000)]
    with pytest.raises(UserError) as caught:
        cohort(tmp_path / "cohort", lines([("scan", "LUL", *many), ("p1", 0, *range(3_000))]))
    assert "unknown columns 'c0', 'c1'," in str(caught.value)
    assert "... (2,990 more); the regions are" in str(caught.value)


def test_a_name_with_a_line_break_is_one_name(tmp_path: Path) -> None:
    found = cohort(tmp_path / "cohort", 'scan,region,score\n"a\nb",LUL,3\np1,LUL,1\n', ("a\nb", "p1"))
    assert [case.name for case in found.cases] == ["a\nb", "p1"]


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("TRUE", "FALSE"), ("yes", "no"), ("WAHR", "FALSCH"), ("1.0", "0,0")]
)
def test_yes_and_no_in_a_table_of_classes(tmp_path: Path, yes: str, no: str) -> None:
    rows = [("image", "cat", "dog", "remark", "form_complete"), ("a", yes, "NA", "blurred", 2), ("b", no, yes, "", 0)]
    (tmp_path / "labels.csv").write_text(lines([*rows, rows[1]], ";"))
    found = read_label_table(tmp_path / "labels.csv")
    assert found.classes == ("cat", "dog")
    assert found.presence == {"a": {"": {"cat": True}}, "b": {"": {"cat": False, "dog": True}}}
    assert not any(fault.fatal for fault in found.faults)


def test_two_spellings_of_a_region_are_one_region(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(lines([("image", "region", "cat"), ("a", "left", 1), ("a", "Left", 0)]))
    found = read_labels(tmp_path)
    assert [fault.message for fault in found.faults if fault.fatal] == [
        "labels.csv: a: class cat of region Left is 0 and 1; correct it"
    ]
    (tmp_path / "labels.csv").write_text(lines([("image", "region", "label"), ("a", "left", "cat"), ("a", 1, "dog")]))
    assert read_labels(tmp_path).images["a"].presence == {1: {"cat": True, "dog": True}}


def test_a_missing_class_is_no_class(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,label\na,cat\nb,NA\nc,\n")
    found = read_label_table(tmp_path / "labels.csv")
    assert found.classes == ("cat",)
    assert [fault.scan for fault in found.faults if fault.fatal] == ["b"]
    assert found.presence["c"] == {"": {"cat": False}}


CELLS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["NA", "4,0", "1, Mild", "=1+1", "\ufeff", "p1"]
)


@settings(max_examples=40)
@given(rows=st.lists(st.lists(CELLS, max_size=5), max_size=5), mark=st.sampled_from(",;\t"))
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], mark: str
) -> None:
    path = tmp_path_factory.mktemp("table") / "scores.csv"
    path.write_text(lines([("scan", "region", "score", "x"), *rows], mark), newline="")
    with contextlib.suppress(UserError):
        assert all(row.scan for row in read_score_table(path).rows)


@settings(max_examples=20)
@given(order=st.permutations(LONG), twice=st.lists(st.sampled_from(LONG), max_size=4))
def test_the_order_of_the_rows_and_copies_of_them_say_nothing(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[str, str, int]], twice: list[tuple[str, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "scores.csv").write_text(lines(HEAD + order + twice))
    found = read_labels(folder)
    assert {name: image.scores for name, image in found.images.items()} == SCORES
    assert found.faults == []
