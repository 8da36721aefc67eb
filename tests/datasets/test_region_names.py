"""Names and labels of regions, with and without a regions.yaml."""

from pathlib import Path

import pytest

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.datasets.region_names import WHOLE_IMAGE, label_of, likely_numbering, read_numbering
from weakmask.errors import UserError


def test_a_known_numbering(tmp_path: Path) -> None:
    (tmp_path / "regions.yaml").write_text("numbering: totalsegmentator\n")
    found = read_numbering(tmp_path / "regions.yaml")
    assert found == NUMBERINGS["totalsegmentator"]
    assert found["RML"] == 13


def test_labels_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "regions.yaml").write_text("labels: {upper: 9, lower: 11}\n")
    assert read_numbering(tmp_path / "regions.yaml") == {"upper": 9, "lower": 11}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected either `numbering: NAME` or `labels: "),
        ("lungmask", "expected either"),
        ("numbering: lungmask\nlabels: {a: 1}", "expected either"),
        ("number: lungmask", "expected either"),
        ("numbering: lungs_r_us", "unknown numbering 'lungs_r_us'; expected one of .*lungmask"),
        ("labels: [1, 2]", r"labels are \[1, 2\]; expected"),
        ("labels: {}", "expected {name: label"),
        ("labels: {a: one}", "a has label 'one'; expected a whole number from 1 up"),
        ("labels: {a: 0}", "a has label 0"),
        ("labels: {a: 1, b: 1}", "two names share a label"),
        ("labels: {a: 1", "not valid YAML at line 1"),
        ("numbering: [a]", r"unknown numbering \['a'\]"),
        ("numbering: {a: 1}", "unknown numbering {'a': 1}"),
        ("labels: {a: 1" + 100 * "0" + "}", "expected a whole number from 1 up"),
    ],
)
def test_a_bad_file_is_one_clean_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "regions.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_numbering(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_clean_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_numbering(tmp_path / "regions.yaml")


def test_the_numbering_that_a_table_speaks_of() -> None:
    assert likely_numbering(["LUL", "RML"]) == NUMBERINGS["weakmask"]
    assert likely_numbering(["lul", "rlm"]) == NUMBERINGS["weakmask"]
    assert likely_numbering(["Left", "right"]) == NUMBERINGS["lungs"]
    assert likely_numbering(["left upper", "right lower"]) == NUMBERINGS["thirds"]
    assert likely_numbering(["image"]) == WHOLE_IMAGE
    assert likely_numbering(["1", "2"]) == {}
    assert likely_numbering([]) == {}


def test_labels() -> None:
    lobes = NUMBERINGS["weakmask"]
    assert label_of("RML", lobes) == 4
    assert label_of("rml", lobes) == 4
    assert label_of("4", lobes) == 4
    assert label_of("6", lobes) is None
    assert label_of("RLM", lobes) is None
    assert label_of("6", {}) == 6
    assert label_of("0", {}) is None
    assert label_of("-1", {}) is None
    assert label_of("LUL", {}) is None
    assert [label_of(region, lobes) for region in ("1.0", "1,0", "X1", "1.5", "9" * 5000)] == [1, 1, 1, None, None]
    assert label_of("3.0", {}) == 3
    assert label_of("Mu\u0308ller", {"M\u00fcller": 2}) == 2
