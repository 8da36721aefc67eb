"""Scores and classes of a cohort reduced to yes or no."""

from pathlib import Path

import pytest

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.yes_or_no import YES_OR_NO, yes_or_no
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY, ScoreMap

LUNGS = {1: "left", 2: "right"}


def case(name: str = "scan", scores: dict | None = None, presence: dict | None = None) -> Case:
    return Case(name, Path(f"{name}.nii"), None, None, scores or {}, presence=presence or {})


def cohort(*cases: Case, names: dict | None = None, classes: tuple[str, ...] = (), scores=CT_SEVERITY) -> Cohort:
    return Cohort(Path("cohort"), scores, LUNGS if names is None else names, cases, (), classes)


def test_every_score_above_none_is_yes() -> None:
    found = yes_or_no(cohort(case(scores={1: 0, 2: 5}), case("other", {2: 1})))
    assert [dict(one.scores) for one in found.cases] == [{1: 0, 2: 1}, {2: 1}]
    assert found.score_map is YES_OR_NO
    assert YES_OR_NO.healthy(0)
    assert not YES_OR_NO.healthy(1)


def test_what_counts_as_no_follows_from_the_score_map_and_not_from_the_number() -> None:
    from_one = ScoreMap("from 1", {1: (0.0, 0.0), 2: (0.0, 1.0)})
    assert dict(yes_or_no(cohort(case(scores={1: 1, 2: 2}), scores=from_one)).cases[0].scores) == {1: 0, 2: 1}
    without = ScoreMap("no score rules lesions out", {0: (0.0, 0.2), 1: (0.2, 1.0)})
    assert dict(yes_or_no(cohort(case(scores={1: 0}), scores=without)).cases[0].scores) == {1: 1}


def test_classes_of_regions_are_labels_and_a_score_goes_first() -> None:
    presence = {1: {"lesion": True}, 2: {"lesion": False}}
    found = yes_or_no(cohort(case(scores={2: 3}, presence=presence), classes=("lesion",)))
    assert dict(found.cases[0].scores) == {1: 1, 2: 1}


def test_an_image_without_the_finding_has_it_in_no_region() -> None:
    found = yes_or_no(cohort(case(presence={None: {"lesion": False}}), classes=("lesion",)))
    assert dict(found.cases[0].scores) == {1: 0, 2: 0}


def test_an_image_with_the_finding_teaches_only_where_the_region_is_known() -> None:
    whole = case(presence={None: {"lesion": True}})
    one = yes_or_no(cohort(whole, names={1: "lungs"}, classes=("lesion",)))
    assert dict(one.cases[0].scores) == {1: 1}
    assert not one.faults
    two = yes_or_no(cohort(whole, classes=("lesion",)))
    assert dict(two.cases[0].scores) == {}
    assert [fault.message for fault in two.faults] == [
        "labels.csv: scan has lesion, and not in which region; it is not used"
    ]


def test_one_of_several_classes_has_to_be_named() -> None:
    several = cohort(case(presence={1: {"a": True, "b": False}}), classes=("a", "b"))
    assert dict(yes_or_no(several, "b").cases[0].scores) == {1: 0}
    for finding in ("", "c"):
        with pytest.raises(UserError, match="has the classes a, b; name one"):
            yes_or_no(several, finding)
    assert yes_or_no(cohort(case(scores={1: 2})), "a").cases[0].scores == {1: 1}  # no labels.csv, as in a test cohort
