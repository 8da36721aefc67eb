"""The stage that segments the scans to evaluate: maps, masks and scores."""

from collections.abc import Callable

import pandas as pd

from weakmask.errors import UserError
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.region_learning.prediction import Prediction, score_rows
from weakmask.region_learning.usable_cases import checked, judged_cases, read_case
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

Segment = Callable[[Volume, Volume], Prediction]  # image, regions -> prediction


def write_maps(work: Work, segment: Segment, further: Callable[[str, Prediction], None] | None = None) -> None:
    """Write activation/, masks/ and scores.csv of the test cohort, or of the validation scans without one.

    Args:
        work: Of the stage.
        segment: Image and regions -> prediction.
        further: Called with every scan's name and prediction, for what a method writes beside.

    Raises:
        UserError: No scan to judge.
    """
    rows: list[dict[str, object]] = []
    cohort, cases = judged_cases(work)
    for case in track(cases, "maps", len(cases)):
        if checked(case, cohort, work) is None:
            continue
        try:
            image, regions = read_case(case, cohort.region_names, work)
            found = segment(image, regions)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        write_volume(found.activation, work.out / "activation" / f"{case.name}.nii.gz")
        write_volume(found.mask, work.out / "masks" / f"{case.name}.nii.gz")
        if further is not None:
            further(case.name, found)
        rows += score_rows(case.name, found, cohort.region_names, case.scores)
    if not rows:
        raise UserError("no scan to judge: give data.test, or a larger data.validation")
    pd.DataFrame(rows).to_csv(work.out / "scores.csv", index=False)
