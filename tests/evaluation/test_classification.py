"""AUC and F1 against their definitions over pairs and counts, and against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from weakmask.evaluation.classification import auc, f1, with_interval

CHOOSER = np.random.default_rng(2)
PRESENT = CHOOSER.random(60) < 0.4
PROBABILITY = np.round(np.clip(0.3 * PRESENT + 0.7 * CHOOSER.random(60), 0, 1), 1)  # with ties


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    pairs = [(p, n) for p in PROBABILITY[PRESENT] for n in PROBABILITY[~PRESENT]]
    plain = float(np.mean([(p > n) + 0.5 * (p == n) for p, n in pairs]))
    assert auc(PRESENT, PROBABILITY) == pytest.approx(plain)
    assert auc(PRESENT, PROBABILITY) == pytest.approx(roc_auc_score(PRESENT, PROBABILITY))


def test_f1_is_scikit_learns() -> None:
    assert f1(PRESENT, PROBABILITY) == pytest.approx(f1_score(PRESENT, PROBABILITY >= 0.5))
    assert f1(PRESENT, PROBABILITY, 0.9) == pytest.approx(f1_score(PRESENT, PROBABILITY >= 0.9))


def test_scores_of_one_kind_of_image_are_undefined() -> None:
    nothing = np.zeros(4, bool)
    assert math.isnan(auc(nothing, np.arange(4.0)))
    assert math.isnan(auc(~nothing, np.arange(4.0)))
    assert math.isnan(f1(nothing, np.zeros(4)))
    assert f1(nothing, np.ones(4)) == 0


def test_intervals_hold_the_value_and_widen_with_patients() -> None:
    alone = with_interval(auc, PRESENT, PROBABILITY, range(60))
    by_patient = with_interval(auc, PRESENT, PROBABILITY, [i // 10 for i in range(60)])
    assert alone.low < alone.value == auc(PRESENT, PROBABILITY) < alone.high
    copies = np.repeat(np.arange(60), 10)
    narrow = with_interval(auc, PRESENT[copies], PROBABILITY[copies], range(600))
    fair = with_interval(auc, PRESENT[copies], PROBABILITY[copies], copies.tolist())
    assert narrow.high - narrow.low < 0.6 * (fair.high - fair.low)
    assert by_patient.value == alone.value
    assert math.isnan(with_interval(auc, PRESENT, PROBABILITY, ["one"] * 60).low)


@pytest.mark.usefixtures("unchecked_types")
def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="60 labels, 59 probabilities, 60 groups"):
        with_interval(auc, PRESENT, PROBABILITY[:-1], range(60))
    with pytest.raises(ValueError, match="not finite"):
        with_interval(f1, PRESENT, np.where(PRESENT, np.nan, PROBABILITY), range(60))
