"""The stage that segments the scans to evaluate: maps, masks and scores."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import evaluated_cases
from weakmask.prediction import Prediction, Segmenter, one_sided
from weakmask.region_learning.prediction import prediction_rows, region_name
from weakmask.region_learning.score_calibration import predictions_of
from weakmask.scoring.severity import ScoreMap
from weakmask.volume.files import write_volume


def write_predictions(
    work: Work, segmenter: Segmenter, further: Callable[[str, Prediction], None] | None = None
) -> None:
    """Write activation/, masks/ and scores.csv of the test cohort, or of the validation scans without one.

    Args:
        work: Of the stage.
        segmenter: The trained model.
        further: Called with every scan's name and prediction, for what a method writes beside.

    Raises:
        UserError: No scan to segment.
    """
    rows: list[dict[str, object]] = []
    cohort, cases = evaluated_cases(work)
    for case, found in predictions_of(work, segmenter, cohort, cases, "maps"):
        write_volume(found.maps["activation"], work.out / "activation" / f"{case.name}.nii.gz")
        write_volume(found.mask, work.out / "masks" / f"{case.name}.nii.gz")
        if further is not None:
            further(case.name, found)
        given = {region_name(cohort.region_names, label): score for label, score in case.scores.items()}
        rows += prediction_rows(case.name, scored_by(found, cohort.score_map), given)
    if not rows:
        raise UserError("no scan to evaluate: give data.test, or a larger data.validation")
    table = pd.DataFrame(rows)
    if line := one_sided(table["fraction"].dropna().tolist(), len(set(table["scan"]))):
        work.note(line)
    write_csv(table, work.out / "scores.csv")


def scored_by(found: Prediction, score_map: ScoreMap) -> Prediction:
    """The prediction with scores of another score map: given scores are those of the test cohort's.

    A model scores by the map of its training cohort, which may mean other fractions by the same scores. Sets of scores
    are left out: they were calibrated for that map, and on the very scans if these are the validation scans.
    """
    values = [
        value if value.score is None else replace(value, score=score_map.score_of(value.amount), score_set=())
        for value in found.values
    ]
    return replace(found, values=tuple(values))
