"""COVID-SemiSeg with weak labels: 50 slices with expert masks, 1,600 slices of 20 volumes without, a score per lung.

    FOLDER/
      train_expert/  images/ regions/ masks/    to evaluate on, and for the supervised bound
      train_weak/    images/ regions/           the file name names the volume: split by volume, never by slice
      scores_expert.csv  scores_simulated.csv   scan,region,score

Fan et al., "Inf-Net", IEEE TMI 39(8), 2020; licence non-commercial, as stated there. A slice is turned by 90 degrees:
region 1 is the lung in its upper half, 2 the one below.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cell_values import label_in, number_in
from weakmask.datasets.score_table import read_score_table
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY

REGIONS = {"upper lung": 1, "lower lung": 2}
VOLUME = re.compile(r"^(Data-\d+_.+)_\d+$")  # of the weak slices; what is in front of the last number
EXPERT, WEAK = "train_expert", "train_weak"


@dataclass(frozen=True)
class CovidSemiSeg:
    """The slices of the benchmark.

    Attributes:
        expert: With masks (`Case.truth`) and the scores made from them.
        weak: Without masks, with simulated scores; `Case.patient` is the volume.
    """

    expert: tuple[Case, ...]
    weak: tuple[Case, ...]


def read_covid_semiseg(folder: Path) -> CovidSemiSeg:
    """Read the tables and look for the files; no pixel is read.

    Raises:
        UserError: A table or a file is missing, or a score is not one of 0 to 5.
    """
    return CovidSemiSeg(
        expert=_cases(folder / EXPERT, folder / "scores_expert.csv", masks=True),
        weak=_cases(folder / WEAK, folder / "scores_simulated.csv", masks=False),
    )


def cohort_of(folder: Path, cases: Sequence[Case]) -> Cohort:
    """Slices of one or both parts of the benchmark, as `write_cohort` takes them."""
    return Cohort(folder, CT_SEVERITY, {label: name for name, label in REGIONS.items()}, tuple(cases), ())


def _cases(folder: Path, table: Path, *, masks: bool) -> tuple[Case, ...]:
    """The slices that a table names, in its order."""
    scores: dict[str, dict[int, int]] = {}
    for row in read_score_table(table).rows:
        label, score = label_in(row.region), number_in(row.score)
        if label not in REGIONS.values() or score not in CT_SEVERITY.scores:
            came = f"region {row.region!r} with score {row.score!r}"
            raise UserError(f"{table}: line {row.line} has {came}; expected region 1 or 2 and a score from 0 to 5")
        scores.setdefault(row.scan, {})[label or 0] = int(score or 0)
    cases = []
    for name, of_slice in scores.items():
        paths = [folder / "images" / f"{name}.jpg", folder / "regions" / f"{name}.png"]
        paths += [folder / "masks" / f"{name}.png"] if masks else []
        missing = next((path for path in paths if not path.exists()), None)
        if missing is not None:
            raise UserError(f"{missing}: no such file; {table} names it; fetch the data set again")
        volume = VOLUME.match(name)
        if not masks and volume is None:
            raise UserError(f"{table}: {name!r} does not name its volume; expected Data-N_VOLUME_SLICE")
        patient = volume.group(1) if volume else ""
        cases.append(Case(name, paths[0], paths[1], paths[2] if masks else None, of_slice, patient))
    return tuple(cases)
