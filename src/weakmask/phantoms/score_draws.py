"""Severity scores of phantoms: distributed as in the paper, correlated within a patient, with reader errors."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from scipy.special import ndtr

from weakmask.phantoms.chest_anatomy import LLL, LUL, RLL, RML, RUL
from weakmask.phantoms.noise import stream
from weakmask.scoring.severity import CT_SEVERITY

# training lobes with scores 0 to 5: Xie et al. 2021, Table I (b)
SCORE_COUNTS = (410, 401, 401, 226, 131, 41)
SHARED = 0.72  # variance share of the patient in a lobe's severity: bilateral disease, some healthy scans
LOBE_SHIFT = {LUL: -0.05, LLL: 0.35, RUL: -0.05, RML: -0.55, RLL: 0.40}  # lower lobes most, middle lobe least


def draw_scores(seed: int) -> dict[int, int]:
    """Draw a score per lobe for one patient.

    Over many patients all lobes together follow `SCORE_COUNTS`. Every lobe has a standard normal severity with a shared
    part `SHARED` per patient, shifted by `LOBE_SHIFT`; the pooled distribution is cut at the paper's shares.
    """
    rng = stream(seed, "scores")
    common, own = rng.normal(), rng.normal(size=len(LOBE_SHIFT))
    cuts = _cuts()
    scores = {}
    for (label, shift), e in zip(LOBE_SHIFT.items(), own, strict=True):
        severity = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * e + shift
        scores[label] = int(np.searchsorted(cuts, severity))
    return scores


@cache
def _cuts() -> list[float]:
    """Severity thresholds between scores that give the paper's shares over all lobes."""
    shifts = np.array(list(LOBE_SHIFT.values()))
    shares = np.cumsum(SCORE_COUNTS)[:-1] / np.sum(SCORE_COUNTS)
    fine = np.linspace(-6, 6, 24001)  # invert the pooled distribution on a fine grid
    pooled = ndtr(fine[:, None] - shifts).mean(axis=1)
    return np.interp(shares, pooled, fine).tolist()


def draw_fractions(scores: Mapping[int, int], seed: int) -> dict[int, float]:
    """Draw a lesion fraction in each score's interval (`CT_SEVERITY`), at least 1/12 of its width from both ends."""
    fractions = {}
    for label, score in sorted(scores.items()):
        low, high = CT_SEVERITY.interval(score)
        place = stream(seed, f"fraction {label}").uniform(1 / 12, 11 / 12)
        fractions[label] = low + place * (high - low)
    return fractions


def misread(scores: Mapping[int, int], probability: float, rng: np.random.Generator) -> dict[int, int]:
    """Add reader errors: each score is wrong by one with this probability, up or down with equal chance.

    At the ends of the scale there is only one direction.
    """
    highest = max(CT_SEVERITY.scores)
    read = {}
    for label, score in sorted(scores.items()):
        wrong, up = rng.random() < probability, rng.random() < 0.5
        step = 1 if score == 0 or (up and score < highest) else -1
        read[label] = score + step if wrong else score
    return read
