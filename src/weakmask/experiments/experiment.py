"""An experiment as data: rows of methods and settings which, over seeds and folds, make one table of a paper.

Every experiment writes into its output folder

    rows/ROW/seed-S/(fold-K/)   a run folder each
    logs/                       what the trainings print, where several run at a time
    *.csv  report.html          the tables of all complete runs, written anew at the end of every call
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.evaluation.table import read_results
from weakmask.region_learning.settings import DataSettings
from weakmask.report.page import ScanView
from weakmask.volume.geometry import Float3, Index3

Changes = Mapping[str, Mapping[str, Any]]  # section of settings -> field -> value
ANYWHERE = DataSettings(cohort=Path(), validation=0.0)  # `data` of a preset; a run gets its cohorts from the experiment


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        title: The row in tables and reports.
        method: Its name in `weakmask.methods.METHODS`, `floors.FLOOR_METHODS` or `wsmis.baselines.BASELINES`.
        changes: Values that differ from the preset's settings.
        template: Name of those settings in the preset; empty: the method's.
        labels: The labels it learns from, where rows differ in them.
        ablation: The end of the title that names the ablation; empty where there is none.
        below: The row that it adds one thing to; None: it adds to none.
        after: Rows whose finished stages it reuses: it waits for them where several rows are trained at a time.
        published: The paper's own numbers, on the paper's images: heading in the report -> number.
        folds: Its folds, where they are not those of the experiment; 0: no cross-validation.
    """

    title: str
    method: str
    changes: Changes = field(default_factory=dict)
    template: str = ""
    labels: str = ""
    ablation: str = ""
    below: str | None = None
    after: tuple[str, ...] = ()
    published: Mapping[str, float] = field(default_factory=dict)
    folds: int | None = None


@dataclass(frozen=True)
class Preset:
    """How large everything is.

    Attributes:
        settings: Method, or another name that rows refer to -> complete settings.
        training_scans: Phantoms to train on; 0: the experiment makes none.
        test_scans: Phantoms to test on, likewise.
        shape: Voxels of a phantom.
        spacing_mm: Edges of a voxel.
    """

    settings: Mapping[str, Settings]
    training_scans: int = 0
    test_scans: int = 0
    shape: Index3 = (0, 0, 0)
    spacing_mm: Float3 = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Place:
    """Which run of an experiment: row, seed and, in a cross-validation, fold."""

    row: str
    seed: int
    fold: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the folders below `rows`."""
        return self.row, f"seed-{self.seed}", *(() if self.fold is None else (f"fold-{self.fold}",))


@dataclass(frozen=True)
class Setup:
    """One call of an experiment: the output folder, the preset and its name, and the data set's folder."""

    out: Path
    preset: Preset
    preset_name: str
    data: Path = Path()

    def run(self, place: Place) -> Path:
        """The run folder of a place."""
        return self.out.joinpath("rows", *place.names)


@dataclass(frozen=True)
class Judged:
    """A complete run: its place, its folder, its row, its settings, and its own lines of results.csv."""

    place: Place
    run: Path
    row: Row
    settings: Settings
    results: pd.DataFrame


@dataclass(frozen=True)
class Tables:
    """The results of an experiment.

    Attributes:
        files: File name -> table, in the output folder.
        report: The table of the report; its column `row` holds names of rows.
        console: The table that the command prints.
        summary: The result in one sentence.
        notes: Further findings, a sentence each.
        views: Functions that load the test scans of the report.
        picture: A figure as WebP, written to examples.webp; empty: none.
    """

    files: Mapping[str, pd.DataFrame]
    report: pd.DataFrame
    console: pd.DataFrame
    summary: str
    notes: tuple[str, ...] = ()
    views: Sequence[Callable[[], ScanView]] = ()
    picture: bytes = b""


@dataclass(frozen=True)
class Experiment:
    """A table of a paper.

    Attributes:
        title: Of the report.
        paper: The paper.
        rows: Name on the command line -> row, in the table's order.
        presets: Name -> sizes and settings; the first is the default.
        tabulate: Complete runs -> tables; `gather.mean_tables` with a measure, where nothing more is said of a table.
        caption: Line below the report's table.
        cohorts: Setup and place -> folders of the training and the test cohort, made or not; None: the presets name the
            data.
        read: Reads results.csv of a run. It has a column `scan`, the name of an image, and others as the method needs;
            where it has a column `method`, the run's own lines come first.
        picture_caption: Line below its figure.
        seeds: How many, unless the user says otherwise.
        folds: How many; 0: no cross-validation.
        sets: Data sets, name -> its folds, where the table has several; the user may name some of them.
        template: Place -> name of its settings in the preset, where they differ by data set; empty: the row's.
        has: Whether the table has a place; a row may be of some data sets alone.
        make_cohorts: Makes the cohorts of these places that do not exist yet.
        floors: Rows without a network that every call adds, with the first seed alone.
        first: Rows that are begun first where several are trained at a time: the longest.
        needs_data: Whether the user must name the folder of a data set.
        evaluate: Writes results.csv into a run folder; for an experiment that judges its runs by itself, one after the
            other, so that their times can be compared. None: the method does.
        is_judged: Whether a run folder holds all results.
        last_stage: The stage that a run ends with; None: the last one of its method.
        final: Data set, run folder and seed -> summary of the model to use; None: there is no such model.
    """

    title: str
    paper: str
    rows: Mapping[str, Row]
    presets: Mapping[str, Preset]
    tabulate: Callable[[Sequence[Judged]], Tables]
    caption: str
    cohorts: Callable[[Setup, Place], tuple[Path, Path]] | None = None
    read: Callable[[Path], pd.DataFrame] = read_results
    picture_caption: str = ""
    seeds: int = 3
    folds: int = 0
    sets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    template: Callable[[Place], str] = lambda _: ""
    has: Callable[[Place], bool] = lambda _: True
    make_cohorts: Callable[[Setup, Collection[Place]], None] | None = None
    floors: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    needs_data: bool = False
    evaluate: Callable[[Path, Setup], None] | None = None
    is_judged: Callable[[Path], bool] = lambda run: (run / "report.html").exists()
    last_stage: str | None = None
    final: Callable[[Path, Path, int], pd.DataFrame] | None = None

    def settings_of(self, setup: Setup, place: Place) -> Settings:
        """The settings of a run."""
        cohorts = None if self.cohorts is None else self.cohorts(setup, place)
        row = self.rows[place.row]
        row = replace(row, template=self.template(place) or row.template)
        return settings_of(row, setup.preset, place.seed, cohorts)

    def folds_of(self, row: str) -> tuple[int | None, ...]:
        """The folds of a row; None alone: it is not cross-validated."""
        own = self.rows[row].folds
        return tuple(range(self.folds if own is None else own)) or (None,)

    def complete_runs(self, out: Path) -> Iterator[tuple[Place, Path]]:
        """All complete runs, asked for now or not, in the order of rows, seeds and folds."""
        for row in self.rows:
            runs = (out / "rows" / row).glob("seed-*" if None in self.folds_of(row) else "seed-*/fold-*")
            places = {run: _place(row, run) for run in runs if self.is_judged(run)}
            for run in sorted(places, key=lambda run: (places[run].seed, places[run].fold or 0)):
                yield places[run], run


def settings_of(row: Row, preset: Preset, seed: int, cohorts: tuple[Path, Path] | None = None) -> Settings:
    """The settings of a row with its seed and, in `data`, the cohorts and the seed of the split.

    Args:
        row: The row.
        preset: Its settings.
        seed: Of the training and, where a part of the scans is kept for validation, of the split.
        cohorts: Folders of the training and the test cohort, for those of cohort and test that the section `data` of
            the method has; None: as the preset says.
    """
    settings = changed(preset.settings[row.template or row.method], row.changes).model_copy(update={"seed": seed})
    if cohorts is None:
        return settings
    data: Settings = getattr(settings, "data")  # noqa: B009 (each method has its own class of settings)
    split = seed if getattr(data, "validation", 0) else 0
    places = {"cohort": cohorts[0], "test": cohorts[1], "split_seed": split}
    known = {name: value for name, value in places.items() if name in type(data).model_fields}
    return settings.model_copy(update={"data": data.model_copy(update=known)})


def changed(settings: Settings, changes: Changes) -> Settings:
    """A copy of settings with other values in some sections."""
    parts = {section: getattr(settings, section).model_copy(update=values) for section, values in changes.items()}
    return settings.model_copy(update=parts)


def checked_name(choices: Mapping[str, object], name: str, kind: str) -> str:
    """The name, which is one of the choices.

    Raises:
        UserError: It is not.
    """
    if name not in choices:
        raise UserError(f"unknown {kind} {name!r}; expected one of {', '.join(choices)}")
    return name


def _place(row: str, run: Path) -> Place:
    numbers = [int(part.split("-")[1]) for part in run.parts[-2:] if part.startswith(("seed-", "fold-"))]
    return Place(row, *numbers)
