"""scores.csv: long and wide, separators and spreadsheets, and one clean line for everything else."""

from pathlib import Path

import pytest
from openpyxl import Workbook

from weakmask.datasets.score_table import ScoreRow, read_score_table
from weakmask.datasets.table_cells import nearest
from weakmask.errors import UserError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "scores.csv"


def test_a_long_table(table: Path) -> None:
    table.write_text("scan,region,score\n001,LUL,2\n001,LLL,0\n")
    found = read_score_table(table)
    assert found.rows == (ScoreRow("001", "LUL", "2", 2), ScoreRow("001", "LLL", "0", 3))
    assert not found.wide
    assert found.patients == {}
    assert found.faults == ()


def test_a_wide_table_gives_a_row_per_region(table: Path) -> None:
    table.write_text("scan,LUL,LLL,RUL,RML,RLL\na,0,1,2,3,\n")
    found = read_score_table(table)
    assert found.wide
    assert [(row.region, row.score) for row in found.rows] == [
        ("LUL", "0"),
        ("LLL", "1"),
        ("RUL", "2"),
        ("RML", "3"),
        ("RLL", ""),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_spreadsheets_write(table: Path, separator: str, mark: bytes, newline: str) -> None:
    lines = [["Scan", "Region", "SCORE", "Patient", ""], ["a", " LUL", "2 ", "p1", ""], ["", "", "", "", ""]]
    table.write_bytes(mark + newline.join(separator.join(line) for line in lines).encode())
    found = read_score_table(table)
    assert found.rows == (ScoreRow("a", "LUL", "2", 2),)
    assert found.patients == {"a": "p1"}
    assert found.faults == ()


def test_quoted_cells_may_hold_the_separator(table: Path) -> None:
    table.write_text('scan,region,score\n"a,b",LUL,2\n')
    assert read_score_table(table).rows[0].scan == "a,b"


def test_patients_may_stand_in_a_wide_table(table: Path) -> None:
    table.write_text("patient,scan,left,right\np1,a,0,1\np1,b,0,2\n,c,1,1\n")
    found = read_score_table(table)
    assert found.patients == {"a": "p1", "b": "p1"}
    assert {row.region for row in found.rows} == {"left", "right"}


def test_a_bad_line_does_not_stop_the_good_ones(table: Path) -> None:
    table.write_text("scan,region,score\na,LUL\n,LUL,2\nb,LUL,1,2\nc,LUL,3\n")
    found = read_score_table(table)
    assert found.rows == (ScoreRow("c", "LUL", "3", 5),)
    assert [fault.message for fault in found.faults] == [
        "scores.csv line 2 (a): has 2 cells; expected 3; correct the line; until then a is left out",
        "scores.csv line 3: names no scan; the line is not used",
        "scores.csv line 4 (b): has 4 cells; expected 3; correct the line; until then b is left out",
    ]
    assert [fault.fatal for fault in found.faults] == [True, False, True]


def test_free_text_is_ignored_and_a_patient_may_be_called_otherwise(table: Path) -> None:
    table.write_text("Scan;Patient ID;Region;Score;Comment;Date\na;p1;LUL;2,0;unclear;2. May\nb;p1;LUL;3;;\n")
    found = read_score_table(table)
    assert [(row.scan, row.score) for row in found.rows] == [("a", "2,0"), ("b", "3")]
    assert found.patients == {"a": "p1", "b": "p1"}
    assert [(fault.message, fault.fatal) for fault in found.faults] == [
        ("scores.csv: the column 'Patient ID' is read as `patient`", False),
        ("scores.csv: the columns 'Comment', 'Date' with free text: ignored", False),
    ]


@pytest.mark.parametrize("name", ["Patient ID", "patient_id", "PatientID", "PATIENT", "patient-id"])
def test_names_of_the_patients_column(table: Path, name: str) -> None:
    table.write_text(f"scan,region,score,{name}\na,LUL,1,p1\n")
    assert read_score_table(table).patients == {"a": "p1"}


def test_a_sheet_is_as_good_as_csv(tmp_path: Path) -> None:
    rows = [["Scan", "Region", "Score", "Patient"], ["007", " LUL", 2, "p1"], [None] * 5, [8, "LLL", 1.0, "p2"]]
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.create_sheet("another").append(["not", "read"])
    book.save(tmp_path / "scores.xlsx")
    found = read_score_table(tmp_path / "scores.xlsx")
    assert found.rows == (ScoreRow("007", "LUL", "2", 2), ScoreRow("8", "LLL", "1", 4))
    assert found.patients == {"007": "p1", "8": "p2"}


@pytest.mark.parametrize("content", [b"", b"scan,region,score\n", b"PK\x03\x04 no zip"])
def test_what_is_no_sheet_is_one_clean_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.xlsx").write_bytes(content)
    with pytest.raises(UserError, match=r"scores\.xlsx: cannot be read as an Excel file") as caught:
        read_score_table(tmp_path / "scores.xlsx")
    assert "\n" not in str(caught.value)


def test_two_patients_for_one_scan_cost_the_scan(table: Path) -> None:
    table.write_text("scan,region,score,patient\na,LUL,1,p1\na,LLL,1,p2\n")
    found = read_score_table(table)
    assert found.faults[0].fatal
    assert found.faults[0].message == (
        "scores.csv line 3 (a): calls the patient 'p2', line 2 calls it 'p1'; "
        "correct the line; until then a is left out"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table is empty; expected a table `scan,region,score`"),
        (b"\n \n,,\n", "the table is empty"),
        (b"scan,region,score\n", "the table has no rows below its header"),
        (b"scan,region,score\na,LUL\n", "the table has no rows below its header that can be used"),
        (b"\xff\xfes", r"damaged UTF-16 text \(byte 2\); save it as CSV UTF-8"),
        (b"scan,region\x81", r"not UTF-8 text \(byte 11\); save the table as CSV UTF-8"),
        (b"\x89SCAN\x05\xff", "a binary file, not a table"),
        (b"PK\x03\x04\x00\x00", "a binary file, not a table"),
        (b"name,region,score\na,LUL,1\n", "no column `scan` among name, region, score"),
        (b"scan,region\na,LUL\n", "no column `score` among scan, region"),
        (b"scan,score\na,1\n", "no column `region` among scan, score"),
        (b"scan,patient\na,1\n", "no column with scores among scan, patient"),
        (b"scan,region,score,patent\na,LUL,1,p\n", "unknown column 'patent'; did you mean 'patient'?"),
        (b"scan,region,score,age\na,LUL,1,70\n", "unknown column 'age'; the columns may be scan, region, score"),
        (b"scan,region,score,patent,age\na,LUL,1,p,70\n", "columns 'patent', 'age'; did you mean 'patient'\\? the col"),
        (b"scan,LUL,LUL\na,1,2\n", "the column 'LUL' stands there twice"),
        (b"scan,region,score\na," + b"L" * 200_000 + b",1\n", "line 2: field larger than field limit"),
    ],
)
def test_what_is_no_table_is_one_clean_line(table: Path, content: bytes, message: str) -> None:
    table.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_score_table(table)
    assert str(table) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_says_what_is_expected(table: Path) -> None:
    with pytest.raises(UserError, match=r"scores\.csv: no such file; expected a table") as caught:
        read_score_table(table)
    assert "scan,LUL,LLL,RUL,RML,RLL" in str(caught.value)
    table.mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        read_score_table(table)


def test_hints() -> None:
    assert nearest("7", ["007", "70"], "-") == "did a spreadsheet take the zeros off '007'?"
    assert nearest("lul", ["RLL", "LUL"], "-") == "did you mean 'LUL'?"
    assert nearest("xyz", ["RLL", "LUL"], "add it") == "add it"
    assert nearest("xyz", [], "add it") == "add it"
