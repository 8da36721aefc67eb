"""Severity of phantoms: the paper's distribution, bilateral disease, and a reader who errs."""

import numpy as np
import pytest

from weakmask.phantoms.score_draws import SCORE_COUNTS, draw_fractions, draw_scores, misread
from weakmask.scoring.severity import CT_SEVERITY


@pytest.fixture(scope="module")
def patients() -> np.ndarray:
    return np.array([list(draw_scores(seed).values()) for seed in range(3000)])


def test_lobes_follow_the_papers_table(patients):
    shares = np.bincount(patients.ravel(), minlength=6) / patients.size
    assert shares == pytest.approx(np.array(SCORE_COUNTS) / sum(SCORE_COUNTS), abs=0.02)


def test_disease_is_shared_within_a_patient(patients):
    assert np.corrcoef(patients[:, 1], patients[:, 4])[0, 1] > 0.5  # both lower lobes
    assert 0.05 < (patients.sum(axis=1) == 0).mean() < 0.25  # some scans are all clear
    assert (patients.sum(axis=1) >= 15).mean() > 0.05  # some are severe
    assert patients[:, 4].mean() > patients[:, 3].mean()  # lower more than middle lobe


def test_fractions_lie_inside_their_intervals():
    for seed in range(50):
        scores = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5}
        for label, fraction in draw_fractions(scores, seed).items():
            low, high = CT_SEVERITY.interval(scores[label])
            assert low <= fraction <= high
            assert CT_SEVERITY.score_of(fraction) == scores[label]


def test_a_reader_errs_by_one_at_the_given_rate():
    rng = np.random.default_rng(0)
    true = {label: label % 6 for label in range(12000)}
    read = misread(true, 0.2, rng)
    off = np.array([read[label] - true[label] for label in true])
    assert set(np.unique(off)) == {-1, 0, 1}
    assert (off != 0).mean() == pytest.approx(0.2, abs=0.015)
    assert min(read.values()) == 0
    assert max(read.values()) == 5
    inner = off[[true[label] in {1, 2, 3, 4} for label in true]]
    assert (inner > 0).sum() == pytest.approx((inner < 0).sum(), rel=0.15)
    assert misread(true, 0.0, rng) == true
