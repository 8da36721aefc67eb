"""The signed-rank test against its definition, against SciPy, and at its edges."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, wilcoxon

from weakmask.evaluation.overlap import Overlap
from weakmask.evaluation.significance import COMPARISON_COLUMNS, compare_methods, signed_rank
from weakmask.evaluation.table import result_rows, results_table


def draw(pairs: int, seed: int, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    second = rng.random(pairs)
    return second + rng.normal(shift, 1.0, pairs), second


def every_signing(differences: np.ndarray) -> float:
    """The definition: all 2^n signs of the ranks, both tails."""
    ranks = rankdata(np.abs(differences))
    ours = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    smaller = [
        min(positive := float(np.dot(signs, ranks)), ranks.sum() - positive)
        for signs in product((0, 1), repeat=len(ranks))
    ]
    return float(np.mean(np.array(smaller) <= ours + 1e-9))


@pytest.mark.parametrize("pairs", [1, 2, 5, 9, 20, 50])
def test_without_ties_it_is_scipys_exact_test(pairs: int) -> None:
    first, second = draw(pairs, seed=pairs)
    found, theirs = signed_rank(first, second), wilcoxon(first, second, method="exact")
    assert found.pairs == found.differing == pairs
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_with_ties_it_is_the_share_of_all_signings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    differences = rng.integers(-3, 5, 10).astype(float)
    differences = differences[differences != 0]
    found = signed_rank(differences, np.zeros(differences.size))
    assert found.p == pytest.approx(every_signing(differences))


def test_many_pairs_take_scipys_approximation_also_with_ties() -> None:
    first, second = (np.round(values, 1) for values in draw(80, seed=3))
    differing = first - second
    found = signed_rank(first, second)
    theirs = wilcoxon(differing[np.abs(differing) > 0], method="approx")
    assert (found.statistic, found.p) == (pytest.approx(theirs.statistic), pytest.approx(theirs.pvalue))


def test_by_hand() -> None:
    # differences 3, -1, 2, 5, 4: ranks 3, 1, 2, 5, 4; negative sum 1; signings with a sum of at most 1: {} and {1}
    found = signed_rank(np.array([3.0, 0.0, 2.0, 5.0, 4.0]), np.array([0.0, 1.0, 0.0, 0.0, 0.0]))
    assert found.statistic == 1.0
    assert found.p == pytest.approx(2 * 2 / 32)
    assert found.median_difference == 3.0


def test_equal_pairs_are_left_out_and_all_equal_is_no_difference() -> None:
    first, second = draw(12, seed=1)
    padded = signed_rank(np.append(first, [0.5, 0.5]), np.append(second, [0.5, 0.5]))
    assert (padded.pairs, padded.differing) == (14, 12)
    assert padded.p == signed_rank(first, second).p
    same = signed_rank(first, first)
    assert (same.differing, same.statistic, same.p) == (0, 0.0, 1.0)


def test_no_pairs_have_no_p_and_few_cannot_be_significant() -> None:
    nothing = signed_rank(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))
    assert nothing.pairs == 0
    assert np.isnan([nothing.p, nothing.statistic, nothing.median_difference]).all()
    for pairs in range(1, 10):
        best = signed_rank(np.arange(1.0, pairs + 1), np.zeros(pairs)).p
        assert best == pytest.approx(2.0 ** (1 - pairs))
        assert (best < 0.01) == (pairs >= 8)


@pytest.mark.usefixtures("unchecked_types")
def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="3 values against 2; expected pairs"):
        signed_rank(np.zeros(3), np.zeros(2))


def results(ious: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Per method and scan the IoU, as counts out of 1000 true voxels; `empty` scans have no truth."""
    rows = []
    for method, scans in ious.items():
        for scan, iou in scans.items():
            hit = round(1000 * iou)
            counted = Overlap(fp=3, tn=997) if scan.startswith("empty") else Overlap(tp=hit, fn=1000 - hit)
            rows += result_rows(method, scan, {"all": counted})
    return results_table(rows)


def test_one_method_against_each_alternative() -> None:
    scans = [f"s{i:02d}" for i in range(12)]
    better = {scan: 0.5 + 0.03 * i for i, scan in enumerate(scans)}
    worse = {scan: 0.3 + 0.02 * i for i, scan in enumerate(scans)}
    half = dict(list(worse.items())[:6])
    table = results({"ours": {**better, "empty": 0.0}, "worse": {**worse, "empty": 0.0}, "half": half, "same": better})
    found = compare_methods(table, "ours")
    assert tuple(found.columns) == COMPARISON_COLUMNS
    assert found["alternative"].tolist() == ["worse", "half", "same"]
    assert found["pairs"].tolist() == [12, 6, 12]
    assert found["p"].tolist() == pytest.approx([2**-11, 2**-5, 1.0])
    assert found["p_corrected"].tolist() == pytest.approx([3 * 2**-11, 3 * 2**-5, 1.0])
    assert found["significant"].tolist() == [True, False, False]
    assert (found["median_difference"][:2] > 0).all()


def test_runs_put_together_share_their_floors_and_nothing_else() -> None:
    ours, theirs = {"a": 0.5, "b": 0.7}, {"a": 0.4, "b": 0.2}
    one, other = results({"ours": ours, "Otsu": theirs}), results({"theirs": theirs, "Otsu": theirs})
    found = compare_methods(pd.concat([one, other]), "ours")
    assert found["alternative"].tolist() == ["Otsu", "theirs"]
    assert found["pairs"].tolist() == [2, 2]
    another = results({"Otsu": {"a": 0.9, "b": 0.2}})
    with pytest.raises(ValueError, match="two different rows of 'Otsu' for scan a"):
        compare_methods(pd.concat([one, another]), "ours")


def test_an_alternative_without_a_common_scan_is_told_and_costs_nothing() -> None:
    table = results({"ours": {"a": 0.5, "b": 0.7}, "there": {"a": 0.4, "b": 0.2}, "elsewhere": {"c": 0.3}})
    found = compare_methods(table, "ours").set_index("alternative")
    assert found.loc["elsewhere", "pairs"] == 0
    assert np.isnan(found.loc["elsewhere", "p_corrected"])
    assert not found.loc["elsewhere", "significant"]
    assert found.loc["there", "p_corrected"] == found.loc["there", "p"]


def with_patients(table: pd.DataFrame, patients: dict[str, str]) -> pd.DataFrame:
    return table.assign(patient=table["scan"].map(patients).fillna(table["scan"]))


def test_a_pair_is_a_patient_s_mean_over_the_scans_that_both_have() -> None:
    ours = {"a1": 0.9, "a2": 0.5, "b1": 0.4, "c1": 0.6}
    theirs = {"a1": 0.1, "a2": 0.7, "b1": 0.3}  # patient a: (0.8 - 0.2) / 2, b: 0.1; c is not common
    table = results({"ours": ours, "theirs": theirs})
    found = compare_methods(with_patients(table, {"a1": "a", "a2": "a", "b1": "b"}), "ours").iloc[0]
    assert (found["pairs"], found["differing"]) == (2, 2)
    assert found["median_difference"] == pytest.approx((0.3 + 0.1) / 2)
    assert compare_methods(table, "ours").iloc[0]["pairs"] == 3
    assert compare_methods(table.drop(columns="patient"), "ours").iloc[0]["pairs"] == 3


def test_scans_of_one_patient_do_not_make_a_difference_significant() -> None:
    scans = [f"{patient}{number}" for patient in "ab" for number in range(10)]
    table = results({"ours": dict.fromkeys(scans, 0.8), "theirs": dict.fromkeys(scans, 0.4)})
    assert compare_methods(table, "ours").iloc[0]["significant"]
    found = compare_methods(with_patients(table, {scan: scan[0] for scan in scans}), "ours").iloc[0]
    assert (found["pairs"], found["p"], found["significant"]) == (2, 0.5, False)


def test_a_table_that_knows_the_patient_overrules_one_that_does_not() -> None:
    ious = {"a1": 0.9, "a2": 0.5, "b1": 0.4}
    one, other = results({"ours": ious}), results({"theirs": dict.fromkeys(ious, 0.3)})
    known = with_patients(one, {"a1": "a", "a2": "a", "b1": "b"})
    assert compare_methods(pd.concat([known, other]), "ours").iloc[0]["pairs"] == 2
    with pytest.raises(ValueError, match="scan a1 has two patients, a and z; expected one"):
        compare_methods(pd.concat([known, with_patients(other, {"a1": "z"})]), "ours")


def test_unknown_names_are_refused() -> None:
    table = results({"ours": {"a": 0.5}})
    with pytest.raises(ValueError, match="method 'theirs' is not in the results; they hold ours"):
        compare_methods(table, "theirs")
    with pytest.raises(ValueError, match="measure 'f1' is unknown"):
        compare_methods(table, "ours", measure="f1")
    assert compare_methods(table, "ours").empty
