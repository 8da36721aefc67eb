"""Masks are judged by the truth and the scores of the cohort they are of, whatever the training's scores mean."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.overlap import SUBSETS, Overlap
from weakmask.evaluation.table import result_rows, results_table, summarise_detail
from weakmask.methods.dram import DramSettings
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import Work
from weakmask.prediction import About, Prediction, Scan
from weakmask.region_learning.evaluate_run import evaluate_run, overlaps_of, without_empty_subtypes
from weakmask.region_learning.prediction import as_prediction
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.region_learning.write_predictions import write_predictions
from weakmask.scoring.severity import CT_SEVERITY, ScoreMap, read_score_map
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

HALVES = (
    "name: halves\npercent: {0: [0, 0], 1: [0, 2.5], 2: [2.5, 12.5], 3: [12.5, 25], 4: [25, 37.5], 5: [37.5, 100]}\n"
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose masks are the truth; its cohort for training has scores of half the extent."""
    folder = tmp_path_factory.mktemp("judged")
    for name, seed in (("training", 1), ("test", 50)):
        write_phantom_cohort(folder / name, 3, seed, (40, 44, 46), (7.5, 7.5, 7.5), workers=1)
    (folder / "training" / "scores.yaml").write_text(HALVES, encoding="utf-8")
    config = DramSettings(
        device="cpu",
        data=DataSettings(cohort=folder / "training", test=folder / "test", validation=0.34),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(16, 16, 16)),
    )
    run = folder / "run"
    for stage in ("01-prepare", "maps", "judging"):
        (run / stage).mkdir(parents=True)
    prepare(Work(run, run / "01-prepare", config))
    for case in read_cohort(folder / "test").cases:
        if case.truth is not None:
            truth = read_volume(case.truth, "label")
            write_volume(truth.with_voxels((truth.voxels > 0).astype("uint8")), run / "maps" / f"{case.name}.nii.gz")
    evaluate_run(Work(run, run / "judging", config), {"the truth": run / "maps"})
    return run / "judging"


def test_the_truth_is_right(judged: Path) -> None:
    summary = pd.read_csv(judged / "summary.csv").set_index("method")
    assert summary.index.tolist() == ["the truth", "Otsu in the region", "fixed threshold", "nothing"]
    assert summary.loc["the truth", "iou_mean"] == summary.loc["the truth", "iou_pooled"] == 1.0
    assert summary.loc["nothing", "iou_pooled"] == 0.0


def test_scores_mean_what_they_mean_to_the_judged_cohort(judged: Path) -> None:
    scores = pd.read_csv(judged / "severity.csv").query("method == 'the truth'")
    assert len(scores) == 15
    assert np.asarray(scores["score_given"] > 0).any()
    assert np.asarray(scores["score_predicted"] == scores["score_given"]).all()


class TruthSegmenter:
    """Marks the truth, and scores it as the training cohort does."""

    needs_hounsfield = False
    about = About(title="the truth", methods_text="", config={}, provenance={})

    def __init__(self, cohort: Path, score_map: ScoreMap) -> None:
        self.needs_regions: dict[int, str] = {}
        self.truth = {case.name: case.truth for case in read_cohort(cohort).cases}
        self.score_map = score_map

    def segment(self, scan: Scan) -> Prediction:
        path = self.truth[scan.name]
        assert path is not None
        mask = read_volume(path, "label").voxels > 0
        return as_prediction(self.score_map, scan, mask.astype(np.float32), mask)

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        return scan.image, (-1200.0, 300.0)


def test_scores_csv_and_severity_csv_score_by_the_same_map(judged: Path) -> None:
    folder = judged.parents[1]
    config = DramSettings(device="cpu", data=DataSettings(cohort=folder / "training", test=folder / "test"))
    work = Work(judged.parent, judged.parent / "predictions", config)
    work.out.mkdir()
    halves = read_score_map(folder / "training" / "scores.yaml")
    write_predictions(work, TruthSegmenter(folder / "test", halves))
    scores = pd.read_csv(work.out / "scores.csv")
    severity = pd.read_csv(judged / "severity.csv").query("method == 'the truth'")
    both = scores.merge(severity, on=["scan", "region"], suffixes=("", "_severity"))
    assert len(both) == 15
    assert np.asarray(both["score_predicted"] == both["score_predicted_severity"]).all()
    assert both["fraction"].map(halves.score_of).tolist() != both["score_predicted"].tolist()  # the maps do differ


def test_the_first_masks_are_tested_against_all_others(judged: Path) -> None:
    compared = pd.read_csv(judged / "significance.csv")
    assert set(compared["method"]) == {"the truth"}
    assert compared["alternative"].tolist() == ["Otsu in the region", "fixed threshold", "nothing"]


def slices_of_patients(folder: Path, *, named: bool) -> Path:
    """A cohort of 20 patients with 5 slices each that differ only between patients, and masks of the same slices.

    The reader and the masks disagree patient by patient, so the five slices are one observation.
    """
    rng = np.random.default_rng(3)
    geometry = Geometry((1, 10, 10))
    lines = ["scan,image,patient"]
    for patient in range(20):
        truth, marked = (int(rows) for rows in rng.integers(1, 10, 2))  # of ten rows
        for number in range(5):
            name = f"p{patient:02d}-{number}"
            lesion = np.zeros(geometry.shape, np.uint8)
            lesion[:, :truth] = 1
            mask = np.zeros_like(lesion)
            mask[:, :marked] = 1
            image = np.where(lesion > 0, -300, -850).astype(np.int16)
            write_volume(Volume(image, geometry), folder / "cohort" / "images" / f"{name}.nii")
            write_volume(Volume(np.ones_like(lesion), geometry), folder / "cohort" / "regions" / f"{name}.nii")
            write_volume(Volume(lesion, geometry), folder / "cohort" / "lesions" / f"{name}.nii")
            write_volume(Volume(mask, geometry), folder / "masks" / f"{name}.nii.gz")
            score = CT_SEVERITY.score_of(lesion.mean())
            lines.append(f"{name},{score},{f'patient {patient}' if named else ''}")
    (folder / "cohort" / "scores.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "cohort"


def judged_slices(folder: Path, *, named: bool) -> Path:
    return judge_slices(slices_of_patients(folder, named=named), folder / "run", folder / "masks", validation=0.9)


def judge_slices(cohort: Path, run: Path, masks: Path, validation: float) -> Path:
    """Prepare a run on slices and judge masks of its validation scans; returns the folder with the tables."""
    prepare_settings = PrepareSettings(spacing_mm=None, margin_mm=0, crop_shape=(1, 10, 10))
    data = DataSettings(cohort=cohort, validation=validation)
    config = DramSettings(device="cpu", data=data, prepare=prepare_settings)
    for stage in ("01-prepare", "judging"):
        (run / stage).mkdir(parents=True)
    prepare(Work(run, run / "01-prepare", config))
    evaluate_run(Work(run, run / "judging", config), {"masks": masks})
    return run / "judging"


def test_the_patient_reaches_the_tables_the_interval_and_the_test(tmp_path: Path) -> None:
    known, unknown = (judged_slices(tmp_path / str(named), named=named) for named in (True, False))
    for name in ("results.csv", "severity.csv"):
        table = pd.read_csv(known / name)
        assert table.groupby("patient")["scan"].nunique().tolist() == [5] * 18  # the other patients are trained on
        other = pd.read_csv(unknown / name)
        assert other["patient"].tolist() == other["scan"].tolist()
    widths = []
    for judged in (known, unknown):
        row = pd.read_csv(judged / "summary.csv").set_index("method").loc["masks"]
        widths.append(row["kappa_high"] - row["kappa_low"])
    assert widths[0] > 1.5 * widths[1]
    pairs = [pd.read_csv(judged / "significance.csv")["pairs"].max() for judged in (known, unknown)]
    assert pairs == [18, 90]


def test_a_threshold_marks_regions_without_a_score_as_the_own_mask_does(tmp_path: Path) -> None:
    cohort, geometry = tmp_path / "cohort", Geometry((1, 10, 10))
    regions = np.ones(geometry.shape, np.uint8)
    regions[:, :, 5:] = 2
    lines = ["scan,region,score"]
    for number in range(4):
        lesion = np.zeros(geometry.shape, np.uint8)
        lesion[:, : number + 2] = 1  # in both regions, of which one is scored
        image = np.where(lesion > 0, -300, -850 - number).astype(np.int16)
        for folder, voxels in (("images", image), ("regions", regions), ("truth", lesion)):
            write_volume(Volume(voxels, geometry), cohort / folder / f"s{number}.nii")
        write_volume(Volume(lesion, geometry), tmp_path / "masks" / f"s{number}.nii.gz")
        lines.append(f"s{number},1,{CT_SEVERITY.score_of(lesion[regions == 1].mean())}")
    (cohort / "scores.csv").write_text("\n".join(lines), encoding="utf-8")
    judged = judge_slices(cohort, tmp_path / "run", tmp_path / "masks", validation=0.5)
    results = pd.read_csv(judged / "results.csv").set_index("method")
    for method in ("masks", "Otsu in the region", "fixed threshold"):
        assert (results.loc[[method], "sensitivity"] == 1.0).all(), method


MASK = np.array([1, 1, 1, 0], np.uint8)
ILL, CLEAR = np.array([2, 2, 0, 0], np.uint8), np.zeros(4, np.uint8)


def rows_of(**truths: np.ndarray) -> list[dict[str, object]]:
    return [row for scan, truth in truths.items() for row in result_rows("m", scan, overlaps_of(MASK, truth, None))]


def test_marks_in_a_scan_without_lesions_are_false_for_each_subtype() -> None:
    assert overlaps_of(MASK, CLEAR, None) == dict.fromkeys(SUBSETS, Overlap(0, 3, 0, 1))
    detail = summarise_detail(results_table(without_empty_subtypes(rows_of(ill=ILL, clear=CLEAR))))
    of_subset = {line["cases"]: line for line in detail.query("subset == 'consolidation'").to_dict("records")}
    assert (of_subset["all"]["scans"], of_subset["positives"]["scans"]) == (2, 1)
    assert of_subset["all"]["iou_pooled"] == pytest.approx(2 / 6)
    assert of_subset["positives"]["iou_mean"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("lesion", [1, 255])
def test_a_cohort_that_does_not_tell_subtypes_apart_has_no_rows_of_them(lesion: int) -> None:
    truth = np.array([lesion, lesion, 0, 0], np.uint8)
    for truths in ({"ill": truth, "clear": CLEAR}, {"clear": CLEAR}):
        rows = without_empty_subtypes(rows_of(**truths))
        assert [row["subset"] for row in rows] == ["all"] * len(truths)


def test_labels_that_are_no_subtypes_are_lesions_alike() -> None:
    assert overlaps_of(MASK, np.array([-1, 0, 0, 0], np.int16), None) == {"all": Overlap(1, 2, 0, 1)}
