"""Kappa against scikit-learn and by hand, its interval against a plain bootstrap, and the words for it."""

import math
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from weakmask.evaluation.agreement import (
    Agreement,
    agreement,
    kappa_interval,
    score_confusion,
    verbal_grade,
    weighted_kappa,
)

SCORES = tuple(range(6))
pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)


def readers(seed: int, regions: int) -> tuple[np.ndarray, np.ndarray]:
    """Two readers who often agree and sometimes are one score apart."""
    rng = np.random.default_rng(seed)
    given = rng.integers(0, 6, regions)
    return given, np.clip(given + rng.integers(-1, 2, regions), 0, 5)


def test_kappa_by_hand() -> None:
    table = np.array([[2, 1, 0], [0, 3, 1], [1, 0, 2]])
    observed = 1 + 1 + 2  # one pair a step off twice, one two steps off
    rows, columns = [3, 4, 3], [3, 4, 3]
    expected = sum(abs(i - j) * rows[i] * columns[j] for i in range(3) for j in range(3)) / 10
    assert float(weighted_kappa(table)) == pytest.approx(1 - observed / expected)


@given(pairs)
def test_kappa_is_that_of_scikit_learn(drawn: list[tuple[int, int]]) -> None:
    one, other = zip(*drawn, strict=True)
    assume(len({*one, *other}) > 1)
    kappa = float(weighted_kappa(score_confusion(one, other, SCORES)))
    assert kappa == pytest.approx(cohen_kappa_score(one, other, weights="linear", labels=SCORES))


@given(pairs)
def test_kappa_is_symmetric_and_at_most_one(drawn: list[tuple[int, int]]) -> None:
    one, other = zip(*drawn, strict=True)
    there = float(weighted_kappa(score_confusion(one, other, SCORES)))
    back = float(weighted_kappa(score_confusion(other, one, SCORES)))
    assert there == pytest.approx(back, nan_ok=True)
    assert math.isnan(there) or there <= 1
    assert math.isnan(there) == (len({*one, *other}) == 1)


def test_two_readers_with_one_constant_score_have_no_kappa() -> None:
    assert math.isnan(weighted_kappa(score_confusion([2, 2, 2], [2, 2, 2], SCORES)))
    assert float(weighted_kappa(score_confusion([2, 2, 2], [3, 3, 3], SCORES))) == 0
    constant = agreement([2, 2], [2, 2], ["a", "b"], SCORES)
    assert math.isnan(constant.kappa)
    assert math.isnan(constant.low)
    assert math.isnan(constant.high)
    assert constant.grade == "undefined"


def test_scores_that_are_not_equally_spaced_weigh_by_their_distance() -> None:
    table = np.array([[3, 1, 0], [0, 3, 0], [0, 1, 2]])
    observed = 1 * 1 + 8 * 1  # one pair 0 against 1, one pair 9 against 1
    distances, rows, columns = [[0, 1, 9], [1, 0, 8], [9, 8, 0]], [4, 3, 3], [3, 5, 2]
    expected = sum(distances[i][j] * rows[i] * columns[j] for i in range(3) for j in range(3)) / 10
    assert float(weighted_kappa(table, [0, 1, 9])) == pytest.approx(1 - observed / expected)


def test_confusion_has_the_first_reader_in_rows() -> None:
    given, predicted = readers(0, 40)
    found = score_confusion(given, predicted, SCORES)
    np.testing.assert_array_equal(found, confusion_matrix(given, predicted, labels=SCORES))
    with pytest.raises(ValueError, match=r"score 7 is not one of \[0, 1, 2, 3, 4, 5\]"):
        score_confusion([7], [0], SCORES)
    with pytest.raises(ValueError, match="2 given scores against 1"):
        score_confusion([1, 2], [0], SCORES)


def test_many_tables_at_once_are_the_single_ones() -> None:
    tables = np.random.default_rng(0).integers(0, 5, (4, 6, 6))
    np.testing.assert_allclose(weighted_kappa(tables), [float(weighted_kappa(table)) for table in tables])


def test_the_interval_is_that_of_a_plain_bootstrap_over_scans() -> None:
    given, predicted = readers(1, 60)
    groups = np.repeat(np.arange(20), 3)
    found = agreement(given, predicted, [f"scan {group:02d}" for group in groups], SCORES, seed=5)
    draws = np.random.default_rng(5).multinomial(20, np.full(20, 1 / 20), size=1000)
    plain = []
    for draw in draws:
        chosen = np.concatenate([np.flatnonzero(groups == group) for group in np.repeat(np.arange(20), draw)])
        plain.append(cohen_kappa_score(given[chosen], predicted[chosen], weights="linear", labels=SCORES))
    assert found.kappa == pytest.approx(cohen_kappa_score(given, predicted, weights="linear", labels=SCORES))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])))
    assert found.low < found.kappa < found.high
    assert found.regions == 60


def test_the_interval_has_a_seed_and_does_not_hang_on_the_order() -> None:
    given, predicted = readers(2, 50)
    groups = [f"scan{i // 5}" for i in range(50)]
    first = agreement(given, predicted, groups, SCORES, seed=1)
    assert agreement(given, predicted, groups, SCORES, seed=1) == first
    assert agreement(given, predicted, groups, SCORES, seed=2) != first
    back = agreement(given[::-1], predicted[::-1], groups[::-1], SCORES, seed=1)
    assert back == first


def test_alike_regions_of_a_scan_widen_the_interval() -> None:
    given, predicted = readers(3, 40)
    given, predicted = np.repeat(given, 5), np.repeat(predicted, 5)  # five copies of each scan's score
    scans = agreement(given, predicted, np.repeat(np.arange(40), 5).tolist(), SCORES)
    regions = agreement(given, predicted, list(range(200)), SCORES)
    assert scans.kappa == regions.kappa
    assert scans.high - scans.low > 1.5 * (regions.high - regions.low)


def test_nothing_to_compare_has_no_kappa() -> None:
    nothing = agreement([], [], [], SCORES)
    assert nothing.regions == 0
    assert math.isnan(nothing.kappa)
    low, high = kappa_interval(np.zeros((0, 6, 6), dtype=int))
    assert math.isnan(low)
    assert math.isnan(high)
    with pytest.raises(ValueError, match="1 given scores, 1 predicted, 2 groups"):
        agreement([1], [1], ["a", "b"], SCORES)


def test_one_patient_has_no_interval() -> None:
    given, predicted = readers(5, 30)
    one = agreement(given, predicted, ["the patient"] * 30, SCORES)
    assert math.isfinite(one.kappa)
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_a_thousand_resamples_of_300_scans_are_one_matrix_product() -> None:
    given, predicted = readers(4, 1500)
    groups = np.repeat(np.arange(300), 5).tolist()
    seconds = []
    for _ in range(3):
        start = time.process_time()
        agreement(given, predicted, groups, SCORES)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    ("kappa", "word"),
    [
        (-0.3, "slight"),
        (0.2, "slight"),
        (0.204, "slight"),
        (0.21, "fair"),
        (0.392, "fair"),
        (0.4, "fair"),
        (0.461, "moderate"),
        (0.6, "moderate"),
        (0.61, "good"),
        (0.8, "good"),
        (0.81, "excellent"),
        (1.0, "excellent"),
        (math.nan, "undefined"),
    ],
)
def test_words(kappa: float, word: str) -> None:
    assert verbal_grade(kappa) == word
    assert Agreement(kappa, kappa, kappa, 1).grade == word


def test_a_constant_side_has_no_interval() -> None:
    for one, other in (([0, 2, 3, 1], [0, 0, 0, 0]), ([2, 2, 2, 2], [0, 2, 3, 1])):
        found = agreement(one, other, ["a", "b", "c", "d"], SCORES)
        assert found.kappa == 0
        assert math.isnan(found.low)
        assert math.isnan(found.high)
