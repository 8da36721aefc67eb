"""Stages 4 and 7: the model file with its threshold; maps, masks and scores of the scans that are judged."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from weakmask.datasets.case import Case, Cohort
from weakmask.errors import UserError
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.crops import OUTSIDE
from weakmask.methods.dram.model import MODEL, DramModel, load_model, save_model
from weakmask.methods.dram.predict import Prediction, crop_map, predict_scan
from weakmask.methods.dram.prepare import SPACING_COLUMNS, checked, read_case, read_usable
from weakmask.methods.thresholds import choose_fixed_threshold, value_histogram
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, write_volume


def model(work: Work) -> None:
    """Stage 4: write model.safetensors; the threshold is the configured one or is chosen on the training scores."""
    config: DramSettings = work.config
    state, header = load_weights(work.run / "03-regression" / f"{config.regression.keep}.safetensors")
    network = build_network(header["network"], header["arguments"])
    network.load_state_dict(state)
    index = pd.read_csv(work.run / "01-prepare" / "index.csv", dtype={"scan": str, "name": str})
    cohort = read_usable(config.data.cohort, work)
    cohort_facts = trained_on(work)
    threshold = config.maps.threshold
    path = work.out / MODEL
    first = 0.5 if threshold == "scores" else threshold
    save_model(path, network, config, threshold=first, score_map=cohort.score_map, trained_on=cohort_facts)
    if threshold == "scores":
        chosen = _threshold_from_scores(work, load_model(path, device_of(config.device)), index, cohort.score_map)
        work.note(f"threshold of the map chosen on the training scores: {chosen:.3f}")
        save_model(path, network, config, threshold=chosen, score_map=cohort.score_map, trained_on=cohort_facts)


def trained_on(work: Work) -> dict[str, Any]:
    """What a model file says of the cohort: names of the regions, median voxel of the crops, number of scans."""
    index = pd.read_csv(work.run / "01-prepare" / "index.csv", dtype={"scan": str, "name": str})
    spacing = [float(v) for v in index[list(SPACING_COLUMNS)].median()]
    names = {str(k): v for k, v in index.groupby("region")["name"].first().items()}
    return {"region_names": names, "crop_spacing_mm": spacing, "scans": len(set(index["scan"]))}


def maps(work: Work) -> None:
    """Stage 7: activation/, masks/ and scores.csv of the test cohort, or of the validation scans without one."""
    config: DramSettings = work.config
    stage = "06-context-model" if config.context.train else "04-model"
    trained = load_model(work.run / stage / MODEL, device_of(config.device))
    rows: list[dict[str, object]] = []
    cohort, cases = judged_cases(work)
    names = cohort.region_names
    for case in track(cases, "maps", len(cases)):
        if checked(case, cohort, work) is None:
            continue
        try:
            image, regions = read_case(case, work)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        found = predict_scan(trained, image, regions)
        write_volume(found.activation, work.out / "activation" / f"{case.name}.nii.gz")
        write_volume(found.mask, work.out / "masks" / f"{case.name}.nii.gz")
        rows += score_rows(case.name, found, names, case.scores)
    if not rows:
        raise UserError("no scan to judge: give data.test, or a larger data.validation")
    pd.DataFrame(rows).to_csv(work.out / "scores.csv", index=False)


def judged_cases(work: Work) -> tuple[Cohort, list[Case]]:
    """The scans that are judged, and their cohort."""
    config: DramSettings = work.config
    if config.data.test is not None:
        cohort = read_usable(config.data.test, work)
        return cohort, list(cohort.cases)
    cohort = read_usable(config.data.cohort, work)
    index = pd.read_csv(work.run / "01-prepare" / "index.csv", dtype={"scan": str})
    held_out = set(index.loc[index["split"] == "validation", "scan"])
    return cohort, [case for case in cohort.cases if case.name in held_out]


def score_rows(
    scan: str, found: Prediction, names: Mapping[int, str], given: Mapping[int, int] | None = None
) -> list[dict[str, object]]:
    """One row per region: scan, region, fraction, score_predicted, score_given (empty where none was)."""
    return [
        {
            "scan": scan,
            "region": names.get(label, str(label)),
            "fraction": round(found.fractions[label], 6),
            "score_predicted": found.scores[label],
            "score_given": (given or {}).get(label),
        }
        for label in sorted(found.fractions)
    ]


def _threshold_from_scores(work: Work, trained: DramModel, index: pd.DataFrame, score_map: ScoreMap) -> float:
    """The threshold of the averaged map at which the training regions' fractions fit their intervals best."""
    training = index.query("split == 'training'")
    edges = np.linspace(0.0, 1.0, 201)
    histograms = []
    for file in track(training["file"], "threshold", len(training)):
        crop = read_volume(work.run / "01-prepare" / file)
        histograms.append(value_histogram(crop_map(trained, crop)[crop.voxels != OUTSIDE], edges))
    return choose_fixed_threshold(np.stack(histograms), edges, training["score"].tolist(), score_map)
