"""Scores and fractions: the paper's table, borders and gaps, files, and the count of each region."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakmask.errors import UserError
from weakmask.scoring.severity import (
    CT_SEVERITY,
    SEVERITY_COLUMNS,
    ScoreMap,
    read_score_map,
    region_fractions,
    severity_table,
    write_score_map,
)
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

HALVES = "percent:\n  0: [0, 50]\n  1: [50, 100]\n"


@st.composite
def score_maps(draw: st.DrawFn) -> ScoreMap:
    """Any legal map: percent borders, each interval ending at the next border or one percent point before it."""
    inner = draw(st.lists(st.integers(3, 97), min_size=1, max_size=6, unique=True))
    borders = [0, *sorted(inner), 100]
    first = draw(st.integers(0, 2))
    intervals = {}
    for step, (low, high) in enumerate(pairwise(borders)):
        gap = draw(st.booleans()) and high < 100 and high - 1 > low
        intervals[first + step] = (low / 100, (high - gap) / 100)
    return ScoreMap("drawn", intervals)


@pytest.mark.parametrize(
    ("fraction", "score"),
    [(0.0, 0), (0.003, 0), (0.00999, 0), (0.01, 1), (0.049, 1), (0.05, 2), (0.25, 3), (0.5, 4), (0.75, 5), (1.0, 5)],
)
def test_fractions_get_the_scores_of_table_1b(fraction: float, score: int) -> None:
    assert CT_SEVERITY.score_of(fraction) == score


def test_the_paper_s_intervals() -> None:
    assert CT_SEVERITY.scores == (0, 1, 2, 3, 4, 5)
    assert CT_SEVERITY.interval(0) == (0.0, 0.0)
    assert CT_SEVERITY.interval(1) == (0.01, 0.05)
    assert CT_SEVERITY.interval(5) == (0.75, 1.0)


def test_healthy_is_what_the_interval_says_and_not_the_number() -> None:
    one_based = ScoreMap("from 1", {1: (0.0, 0.0), 2: (0.01, 0.5), 3: (0.5, 1.0)})
    up_to_5 = ScoreMap("0 up to 5 %", {0: (0.0, 0.05), 1: (0.05, 1.0)})
    assert [one_based.healthy(score) for score in one_based.scores] == [True, False, False]
    assert [up_to_5.healthy(score) for score in up_to_5.scores] == [False, False]
    assert [CT_SEVERITY.healthy(score) for score in CT_SEVERITY.scores] == [True] + 5 * [False]
    with pytest.raises(ValueError, match="score 0 is not in score map 'from 1'"):
        one_based.healthy(0)


def test_the_authors_code_widens_score_0() -> None:
    wide = CT_SEVERITY.with_zero_up_to(0.01)
    assert wide.interval(0) == (0.0, 0.01)
    assert wide.interval(1) == CT_SEVERITY.interval(1)
    assert [wide.score_of(f) for f in (0.0, 0.005, 0.01)] == [0, 0, 1]
    with pytest.raises(ValueError, match="before the score below it ends"):
        CT_SEVERITY.with_zero_up_to(0.02)


@given(score_maps(), st.floats(0, 1))
def test_every_fraction_has_one_score_and_lies_at_its_interval(score_map: ScoreMap, fraction: float) -> None:
    low, high = score_map.interval(score_map.score_of(fraction))
    assert low <= fraction <= high + 0.01 + 1e-9  # the gap above an interval belongs to it


@given(score_maps(), st.data())
def test_a_fraction_inside_an_interval_gets_its_score_back(score_map: ScoreMap, data: st.DataObject) -> None:
    score = data.draw(st.sampled_from(score_map.scores))
    low, high = score_map.interval(score)
    fraction = data.draw(st.floats(low, high, exclude_max=True))
    assert score_map.score_of(fraction) == score


@given(score_maps(), st.floats(0, 1), st.floats(0, 1))
def test_more_lesion_never_lowers_the_score(score_map: ScoreMap, one: float, other: float) -> None:
    assert score_map.score_of(min(one, other)) <= score_map.score_of(max(one, other))


def test_a_score_for_exactly_nothing_keeps_its_point() -> None:
    score_map = ScoreMap("presence", {0: (0.0, 0.0), 1: (0.0, 1.0)})
    assert score_map.score_of(0.0) == 0
    assert score_map.score_of(1e-9) == 1


@pytest.mark.parametrize("fraction", [-0.01, 1.01, float("nan")])
def test_what_is_no_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="expected a number in"):
        CT_SEVERITY.score_of(fraction)


def test_unknown_scores_are_refused() -> None:
    with pytest.raises(ValueError, match=r"score 7 is not in .*\[0, 1, 2, 3, 4, 5\]"):
        CT_SEVERITY.interval(7)


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ({}, "has no scores"),
        ({-1: (0.0, 1.0)}, "score -1 is negative"),
        ({0: (0.0, 0.5), 1: (0.4, 1.0)}, "score 1 begins at 0.4, before"),
        ({0: (0.0, 0.5), 1: (0.5, 0.5), 2: (0.5, 1.0)}, "score 1 begins at 0.5, before"),
        ({0: (0.0, 0.05), 1: (0.25, 1.0)}, "no score means a fraction between 0.05 and 0.25"),
        ({0: (0.0, 0.5), 1: (0.5, 0.9)}, "does not reach from 0 to 1"),
        ({0: (0.005, 0.5), 1: (0.5, 1.0)}, "does not reach from 0 to 1"),
        ({0: (0.5, 0.0)}, "expected 0 <= low <= high <= 1"),
        ({0: (0.0, float("nan"))}, "expected 0 <= low <= high <= 1"),
    ],
)
def test_intervals_that_no_reader_could_use_are_refused(
    intervals: dict[int, tuple[float, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ScoreMap("bad", intervals)


@given(score_map=score_maps())
def test_a_score_map_survives_its_file(score_map: ScoreMap, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "scores.yaml"
    write_score_map(score_map, path)
    assert read_score_map(path) == score_map


def test_the_written_file_reads_as_documented(tmp_path: Path) -> None:
    write_score_map(CT_SEVERITY, tmp_path / "scores.yaml")
    text = (tmp_path / "scores.yaml").read_text()
    assert "  1: [1, 5]\n" in text
    assert read_score_map(tmp_path / "scores.yaml") == CT_SEVERITY


def test_a_file_without_a_name_is_named_after_itself(tmp_path: Path) -> None:
    (tmp_path / "halves.yaml").write_text(HALVES)
    assert read_score_map(tmp_path / "halves.yaml") == ScoreMap("halves", {0: (0.0, 0.5), 1: (0.5, 1.0)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no key `percent`"),
        ("percent: 3", "no key `percent`"),
        ("- 1", "no key `percent`"),
        ("scores: {}\n" + HALVES, "unknown key 'scores'"),
        ("percent: {0: [0, 50], 1: [50]}", r"score 1 is given as \[50\]"),
        ("percent: {0: [0, 50], one: [50, 100]}", "score 'one' is given as"),
        ("percent: {0: [0, 50], 1: [50, all]}", "expected a whole number and"),
        ("percent: {0: [0, 50], 1: [60, 100]}", "no score means a fraction between 0.5 and 0.6"),
        ("percent: {0: [0, 0.5], 1: [0.5, 1]}", "does not reach from 0 to 1"),
        ("percent: {0: [0, 50]", "not valid YAML at line 1"),
        ("percent: {0: [0, 1" + 400 * "0" + "]}", r"score 0 is given as \[0, 10+ \.\.\. "),
        ("percent: {0: [0, .nan]}", r"score 0 is given as \[0, nan\]"),
        ("percent: {1" + 400 * "0" + ": [0, 100]}", "is given as"),
        ("percent: {0: [0, 100]}\npercent: {0: [0, 50]}", "the key percent stands there twice"),
    ],
)
def test_a_bad_file_is_one_clean_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scores.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_score_map(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file_is_one_clean_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_score_map(tmp_path / "scores.yaml")
    (tmp_path / "scores.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="it is not UTF-8 text"):
        read_score_map(tmp_path / "scores.yaml")


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from([np.uint8, np.int16, np.int64]))
def test_fractions_are_the_plain_share_of_each_region(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    regions = rng.integers(0, 6, (3, 4, 5)).astype(dtype)
    mask = rng.random((3, 4, 5)) < 0.4
    found = region_fractions(mask, regions, [3, 1, 2])
    assert list(found) == [3, 1, 2]
    for label, fraction in found.items():
        inside = mask[regions == label]
        plain = inside.sum() / inside.size if inside.size else float("nan")
        assert fraction == pytest.approx(plain, nan_ok=True)


def test_strange_labels_and_mask_values_do_no_harm() -> None:
    regions = np.array([[1, 1, -7], [2, 10**9, 0]])
    fractions = region_fractions(np.array([[255, 0, 1], [0, 1, 1]]), regions, [1, 2, 4])
    assert fractions[1] == 0.5
    assert fractions[2] == 0.0
    assert np.isnan(fractions[4])


def test_fractions_refuse_what_is_no_label_volume() -> None:
    mask = np.zeros((2, 2), bool)
    with pytest.raises(ValueError, match="expected one grid"):
        region_fractions(mask, np.zeros((2, 3), int), [1])
    with pytest.raises(ValueError, match="expected integers"):
        region_fractions(mask, np.zeros((2, 2)), [1])
    with pytest.raises(ValueError, match="expected integers"):
        region_fractions(mask, np.zeros((2, 2), int), [-1])


def test_the_table_of_one_scan_by_hand() -> None:
    geometry = Geometry((2, 10, 10), (5.0, 2.0, 1.0))  # 0.01 ml per voxel
    regions, mask = np.zeros((2, 10, 10), np.uint8), np.zeros((2, 10, 10), np.uint8)
    regions[0], regions[1] = 1, 2
    mask[0, 0, :3], mask[1, :6] = 1, 3
    names = {2: "right", 1: "left", 3: "third"}
    table = severity_table(Volume(mask, geometry, "label"), Volume(regions, geometry, "label"), names, CT_SEVERITY)
    assert tuple(table.columns) == SEVERITY_COLUMNS
    assert list(table["region"]) == ["right", "left", "third"]
    assert list(table["label"]) == [2, 1, 3]
    assert table["volume_ml"].tolist() == pytest.approx([1.0, 1.0, 0.0])
    assert table["lesion_ml"].tolist() == pytest.approx([0.6, 0.03, 0.0])
    assert table["fraction"].tolist() == pytest.approx([0.6, 0.03, float("nan")], nan_ok=True)
    assert table["score"].tolist()[:2] == [4, 1]
    assert table["score"].isna().tolist() == [False, False, True]
    assert table[["score"]].sum().tolist() == [5]
    assert table["score"].dtype == pd.Int64Dtype()


def test_the_table_refuses_two_grids() -> None:
    here = Volume(np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2)), "label")
    there = Volume(here.voxels, Geometry((2, 2, 2), origin_mm=(9.0, 0.0, 0.0)), "label")
    with pytest.raises(ValueError, match="different grids"):
        severity_table(here, there, {1: "left"}, CT_SEVERITY)


def test_the_table_takes_a_mask_in_another_storage_order() -> None:
    regions = Volume(np.ones((2, 3, 4), np.uint8), Geometry((2, 3, 4)), "label")
    regions.voxels[:, :, 2:] = 2
    mask = regions.with_voxels((regions.voxels == 2).astype(np.uint8))
    names = {1: "left", 2: "right"}
    expected = severity_table(mask, regions, names, CT_SEVERITY)
    assert expected["fraction"].tolist() == [0.0, 1.0]
    assert severity_table(mask.flip(2), regions, names, CT_SEVERITY).equals(expected)
