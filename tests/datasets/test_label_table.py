"""labels.csv: long and wide, by image or region, known and unknown, and one clean line for everything else."""

import re
from pathlib import Path

import pytest

from weakmask.datasets.label_table import LabelTable, read_label_table
from weakmask.errors import UserError


def read(folder: Path, text: str) -> LabelTable:
    (folder / "labels.csv").write_text(text)
    return read_label_table(folder / "labels.csv")


def test_a_long_table_names_the_classes_that_are_present(tmp_path: Path) -> None:
    found = read(tmp_path, "image,label\na,cat\na,dog\nb,dog\nc,\n")
    assert found.classes == ("cat", "dog")
    assert found.presence == {
        "a": {"": {"cat": True, "dog": True}},
        "b": {"": {"cat": False, "dog": True}},
        "c": {"": {"cat": False, "dog": False}},
    }
    assert found.faults == ()


def test_a_wide_table_may_leave_a_class_unknown(tmp_path: Path) -> None:
    found = read(tmp_path, "scan;patient;cat;dog;Comment\na;p1;1;0;nice\nb;p1;;1,0;\n")
    assert found.classes == ("cat", "dog")
    assert found.presence == {"a": {"": {"cat": True, "dog": False}}, "b": {"": {"dog": True}}}
    assert found.patients == {"a": "p1", "b": "p1"}
    assert [fault.message for fault in found.faults] == ["labels.csv: the column 'Comment' with free text: ignored"]


@pytest.mark.parametrize(
    "text",
    [
        "image,region,label\na,left,cat\na,right,\nb,left,dog\n",
        "image,region,cat,dog\na,left,1,0\na,right,0,0\nb,left,0,1\n",
    ],
)
def test_labels_of_regions(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).presence == {
        "a": {"left": {"cat": True, "dog": False}, "right": {"cat": False, "dog": False}},
        "b": {"left": {"cat": False, "dog": True}},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,cat\na,1\nb,2\n", "labels.csv line 3 (b): label '2' of class cat is not 0 or 1; correct the line"),
        ("image,cat\na,1\nb,1\nb,0\n", "labels.csv line 4 (b): class cat is 0, in line 3 it is 1; correct the line"),
        ("image,region,cat\na,left,1\nb,left,1\nb,left,0\n", "line 4 (b): class cat is 0, in line 3 it is 1"),
        ("image,label\na,cat\nb,cat,dog\n", "labels.csv line 3 (b): has 3 cells; expected 2"),
        ("image,label\na,cat\n,cat\n", "labels.csv line 3: names no image; the line is not used"),
        (
            "image,label,patient\na,cat,p1\nb,cat,p1\nb,dog,p2\n",
            "line 4 (b): calls the patient 'p2', line 3 calls it 'p1'",
        ),
    ],
)
def test_a_bad_line_costs_its_image(tmp_path: Path, text: str, message: str) -> None:
    found = read(tmp_path, text)
    assert "a" in found.presence
    assert [fault.scan for fault in found.faults if fault.fatal] == (["b"] if "(b)" in message else [])
    assert message in found.faults[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the table is empty; expected a table `image,label`"),
        ("image,label\n", "no rows below its header"),
        ("picture,label\na,cat\n", "no column `image` among picture, label"),
        ("image,patient\na,p1\n", "no column of 0 and 1 among image, patient"),
        ("image,comment\na,nice\n", "no column of 0 and 1 among image, comment"),
        (
            "image,label,age\na,cat,3\n",
            "unknown column 'age'; .* label, region, patient and series; delete the column$",
        ),
        ("image,cat,Age\na,1,63\nb,0,70\n", "unknown column 'Age'; the columns may be .*; delete the column$"),
        ("image,cat,patent\na,1,p\n", "unknown column 'patent'; did you mean 'patient'[?]"),
    ],
)
def test_what_is_no_table_is_one_clean_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
