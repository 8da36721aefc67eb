"""Sets of scores: the plain formula beside them, what a set holds, and the coverage that they state."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakmask.scoring.score_sets import ScoreSets, calibrated, patients_needed, score_distance, span_of
from weakmask.scoring.severity import CT_SEVERITY, ScoreMap

SHARES = {0: (0.0, 0.01), 1: (0.01, 0.05), 2: (0.05, 0.25), 3: (0.25, 0.5), 4: (0.5, 0.75), 5: (0.75, 1.0)}
MAPS = [
    CT_SEVERITY,
    CT_SEVERITY.with_zero_up_to(),
    ScoreMap("a point, and halves from it", {0: (0.0, 0.0), 1: (0.0, 0.5), 2: (0.5, 1.0)}),
    ScoreMap("from 3, a point within", {3: (0.0, 0.5), 4: (0.505, 0.505), 7: (0.51, 1.0)}),
]
fractions = st.floats(0, 1)


@pytest.mark.parametrize("score", SHARES)
@pytest.mark.parametrize("percent", [0, 0.5, 1, 3, 5, 40, 99, 100])
def test_a_distance_is_that_of_square_roots_from_the_shares_of_the_score(score: int, percent: float) -> None:
    share, (low, high) = percent / 100, SHARES[score]
    nearest = min(max(share, low), high)
    assert score_distance(CT_SEVERITY, score, share) == pytest.approx(abs(math.sqrt(share) - math.sqrt(nearest)))


@given(fraction=fractions, distance=st.floats(0, 1), which=st.sampled_from(MAPS))
def test_a_set_holds_the_predicted_score_and_has_no_gap(fraction: float, distance: float, which: ScoreMap) -> None:
    found = ScoreSets(0.9, distance, 20, 10).of(which, fraction)
    first, last = which.scores.index(found[0]), which.scores.index(found[-1])
    assert which.score_of(fraction) in found
    assert found == which.scores[first : last + 1]
    assert set(found) <= set(ScoreSets(0.9, min(1.0, distance + 0.1), 20, 10).of(which, fraction))


def test_a_region_without_voxels_has_no_scores() -> None:
    assert ScoreSets(0.9, 1.0, 20, 10).of(CT_SEVERITY, math.nan) == ()


@pytest.mark.parametrize(("scores", "text"), [((), ""), ((2,), "2"), ((1, 2), "1 to 2"), ((0, 1, 2), "0 to 2")])
def test_a_set_as_text(scores: tuple[int, ...], text: str) -> None:
    assert span_of(scores) == text


@pytest.mark.parametrize(("coverage", "patients"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_too_few_patients_give_no_sets(coverage: float, patients: int) -> None:
    assert patients_needed(coverage) == patients
    regions = [str(number // 3) for number in range(3 * patients)]
    assert calibrated([0.1] * len(regions), regions, coverage) == ScoreSets(coverage, 0.1, 3 * patients, patients)
    assert calibrated([0.1] * (len(regions) - 3), regions[3:], coverage) is None
    assert calibrated([], [], coverage) is None


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("patients", [9, 10, 19, 40])
def test_with_a_region_per_patient_it_is_split_conformal_prediction(coverage: float, patients: int) -> None:
    distances = np.random.default_rng(patients).uniform(size=patients)
    sets = calibrated(distances.tolist(), list(range(patients)), coverage)
    rank = math.ceil(round(coverage * (patients + 1), 6))  # Vovk et al. 2005: of n distances the ⌈c (n + 1)⌉th
    assert sets is not None
    assert sets.distance == np.sort(distances)[rank - 1]


def test_each_patient_weighs_the_same() -> None:
    """One patient of many bad regions is one of ten, and not two thirds of the regions."""
    distances, patients = [*(0.01 * k for k in range(19)), *[0.8] * 38], [*range(19), *["bad"] * 38]
    sets = calibrated(distances, patients, 0.9)
    assert sets is not None
    assert sets.distance == pytest.approx(0.18)
    assert (sets.regions, sets.patients) == (57, 20)


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_ninety_percent_of_the_sets_hold_the_score_of_a_region_of_a_new_patient(alike: float) -> None:
    """Of 600 patients of 1 to 5 regions, which share none, half or most of their errors: 40 known ones, 20 new ones."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(600), rng.integers(1, 6, 600))
    error = math.sqrt(alike) * rng.normal(size=600)[patients] + math.sqrt(1 - alike) * rng.normal(size=len(patients))
    true = rng.uniform(0, 0.9, len(patients))
    predicted = np.clip(np.sqrt(true) + 0.15 * error, 0, 1) ** 2
    distances = np.array(
        [score_distance(CT_SEVERITY, CT_SEVERITY.score_of(share), p) for share, p in zip(true, predicted, strict=True)]
    )
    covered = []
    for _ in range(400):
        drawn = rng.permutation(600)
        known = np.isin(patients, drawn[:40])
        sets = calibrated(distances[known].tolist(), patients[known].tolist(), 0.9)
        assert sets is not None
        covered += [np.mean(distances[patients == patient] <= sets.distance) for patient in drawn[40:60]]
    assert 0.87 <= np.mean(covered) <= 0.93
