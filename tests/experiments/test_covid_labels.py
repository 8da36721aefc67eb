"""Few labels of COVID-SemiSeg: more include fewer, and masks are there for the rows alone that learn from them."""

from pathlib import Path

import pytest

from weakmask.datasets.case import Case
from weakmask.experiments.covid_labels import cases_of, has_masks
from weakmask.experiments.covid_semiseg import ROWS

EXPERT = tuple(Case(f"e{n}", Path(f"e{n}.jpg"), None, Path(f"e{n}.png"), {1: 2}) for n in range(8))
WEAK = tuple(Case(f"w{n}", Path(f"w{n}.jpg"), None, None, {1: 0}) for n in range(30))


def names(cases: tuple[Case, ...]) -> set[str]:
    return {case.name for case in cases}


def test_every_row_has_its_slices() -> None:
    for name, row in ROWS.items():
        found = cases_of(row.labels or "both", EXPERT, WEAK)
        assert found, name
        if row.method != "supervised" and not has_masks(row.labels):
            assert "mixed" not in name


@pytest.mark.parametrize(("kind", "fewer", "more"), [("masks", 2, 5), ("scores", 5, 20)])
def test_more_labels_include_fewer(kind: str, fewer: int, more: int) -> None:
    few, many = (cases_of(f"{kind}-{number}", EXPERT, WEAK) for number in (fewer, more))
    assert (len(few), len(many)) == (fewer, more)
    assert names(few) < names(many)


def test_mixed_labels_are_all_scores_and_some_masks() -> None:
    found = cases_of("mixed-3", EXPERT, WEAK)
    assert names(found) == names((*EXPERT, *WEAK))
    assert names(tuple(case for case in found if case.truth is not None)) == names(cases_of("masks-3", EXPERT, WEAK))
    assert has_masks("mixed-3")
    assert has_masks("masks")
    assert not has_masks("both")
