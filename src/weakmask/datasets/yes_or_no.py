"""The labels of a cohort reduced to yes or no: whether a region has a lesion, and nothing of how much.

A method that learns from yes or no reads its cohorts through `yes_or_no`, so that no later step can see a score.
"""

from collections.abc import Mapping
from dataclasses import replace

from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.errors import UserError
from weakmask.scoring.severity import ScoreMap

NO, YES = 0, 1
YES_OR_NO = ScoreMap("lesion: no or yes", {NO: (0.0, 0.0), YES: (0.01, 1.0)})  # yes from 1 % of the region on


def yes_or_no(cohort: Cohort, finding: str = "") -> Cohort:
    """The cohort with a 1 for each region that has lesions and a 0 for each that has none, in place of its scores.

    A score says no if it rules lesions out (`ScoreMap.healthy`). A region without a score takes its label from
    labels.csv. An image that is known to have none has none in any region; of an image that has some, the region is
    known only where there is but one.

    Args:
        cohort: With scores.csv, labels.csv or both.
        finding: The class of labels.csv that is the lesion; empty: the only class.

    Raises:
        UserError: The finding is not a class of labels.csv, or there are several and none is named.
    """
    chosen = _finding(cohort, finding)
    faults: list[Fault] = []
    cases = [_reduced(case, cohort, chosen, faults) for case in cohort.cases]
    return replace(cohort, score_map=YES_OR_NO, cases=tuple(cases), faults=(*cohort.faults, *faults))


def _finding(cohort: Cohort, finding: str) -> str:
    classes = cohort.classes
    if not classes or finding in classes:
        return finding
    if finding or len(classes) > 1:
        came = f"data.finding is {finding!r}" if finding else "data.finding is empty"
        raise UserError(f"{cohort.folder}: {came}, and labels.csv has the classes {', '.join(classes)}; name one")
    return next(iter(classes))


def _reduced(case: Case, cohort: Cohort, finding: str, faults: list[Fault]) -> Case:
    """A case with 0 and 1 as scores."""
    known = {label: YES if has else NO for label, has in _of_presence(case, cohort, finding, faults).items()}
    scored = {label: NO if cohort.score_map.healthy(score) else YES for label, score in case.scores.items()}
    return replace(case, scores={**known, **scored})


def _of_presence(case: Case, cohort: Cohort, finding: str, faults: list[Fault]) -> Mapping[int, bool]:
    """Region label -> whether the finding is there, as far as labels.csv says."""
    found = {label: of[finding] for label, of in case.presence.items() if label is not None and finding in of}
    whole = case.presence.get(None, {}).get(finding)
    if whole is None:
        return found
    rest = [label for label in cohort.region_names if label not in found]
    if not whole or len(cohort.region_names) == 1:
        return {**dict.fromkeys(rest, whole), **found}
    if not any(found.values()) and not case.scores:
        text = f"labels.csv: {case.name} has {finding}, and not in which region; it is not used"
        faults.append(Fault(case.name, "labels.csv", text, fatal=False))
    return found
