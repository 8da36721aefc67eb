"""The labels of the COVID-SemiSeg rows: all scores or some, masks of all expert slices or of some, or both together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from weakmask.datasets.case import Case
from weakmask.experiments.experiment import Changes, Row

ALL_MASKS = 40  # the expert slices of a fold
MASKS = (5, 10, 20)  # some of them
SCORES = (50, 200, 800)  # of the 1,640 slices of a fold
SEED = 0  # of the order in which slices are taken; the same for all rows, so that more labels include fewer


def rows_of_few_labels(complete: Changes) -> Mapping[str, Row]:
    """The rows of the learning curves: few scores, few masks, and few masks beside all scores.

    Args:
        complete: The changes of the complete dRAM.
    """
    mixed = {**complete, "true_masks": {"use": True}}
    rows = {}
    for count in SCORES:
        labels = f"scores-{count}"
        rows[labels] = Row(f"dRAM complete, {count} scored slices", "dram", complete, labels=labels)
    for count in (*MASKS, ALL_MASKS):
        labels = f"mixed-{count}"
        rows[labels] = Row(f"dRAM complete, all scores and {count} masks", "dram", mixed, labels=labels)
    for count in MASKS:
        rows[f"supervised-{count}"] = Row(f"supervised U-Net, {count} masks", "supervised", labels=f"masks-{count}")
    return rows


def cases_of(labels: str, expert: Sequence[Case], weak: Sequence[Case]) -> tuple[Case, ...]:
    """The training slices of a row; of those with masks, `has_masks` says whether they are written.

    Args:
        labels: `both`, `expert`, `simulated`, `masks`, `masks-N`, `mixed-N` or `scores-N`.
        expert: The expert slices of the fold, with masks.
        weak: The slices without.
    """
    kind, _, count = labels.partition("-")
    number = int(count or len(expert))
    if kind == "mixed":
        chosen = {case.name for case in _shuffled(expert)[:number]}
        known = (case if case.name in chosen else replace(case, truth=None) for case in expert)
        return (*known, *weak)
    if kind == "scores":
        return _shuffled((*expert, *weak))[:number]
    if kind == "masks":
        return _shuffled(expert)[:number] if count else tuple(expert)
    return {"both": (*expert, *weak), "simulated": tuple(weak), "expert": tuple(expert)}[kind]


def has_masks(labels: str) -> bool:
    """Whether a row learns from masks; the cohorts of the others are written without."""
    return labels.partition("-")[0] in {"masks", "mixed"}


def _shuffled(cases: Sequence[Case]) -> tuple[Case, ...]:
    return tuple(cases[place] for place in np.random.default_rng(SEED).permutation(len(cases)))
