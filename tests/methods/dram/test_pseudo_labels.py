"""Pseudo-labels of a cohort on disk, made with a model whose map is the same everywhere."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_cohort import Grey, Scores, hounsfield, run_stage, write_ball_cohort
from bright_ball import scene

from weakmask.methods.dram.config import (
    ContextSettings,
    CrfSettings,
    DramSettings,
    MapSettings,
    RefinementSettings,
    TrueMaskSettings,
)
from weakmask.methods.dram.context_grid import BACKGROUND, LESION, NOT_LEARNT
from weakmask.methods.dram.model import network_of, save_model
from weakmask.methods.dram.pseudo_labels import pseudo_labels
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.resample import resample_onto


def settings(cohort: Path, *, iterations: int = 5, **context: object) -> DramSettings:
    own: dict[str, object] = {"spacing_mm": None, "width": 2, "padding": "same"}
    return DramSettings(
        device="cpu",
        data=DataSettings(cohort=cohort, test=cohort, seen=True, validation=0.0),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(16, 16, 16)),
        network=NetworkSettings(width=1),
        refinement=RefinementSettings(weight=0.0, crf=CrfSettings(iterations=iterations)),
        maps=MapSettings(scales=(1.0,)),
        context=ContextSettings(**(own | context)),  # pyright: ignore[reportArgumentType]
    )


def labelled(
    tmp_path: Path,
    config: DramSettings,
    scores: Scores,
    value: float,
    threshold: float,
    grey: Grey = hounsfield,
    spoil: Callable[[Path], None] = lambda _: None,
) -> Work:
    """Run the stages on a ball cohort, spoilt if asked, with a model whose map is `value` in every region."""
    write_ball_cohort(config.data.cohort, scores, grey)
    spoil(config.data.cohort)
    run = tmp_path / "run"
    run_stage(prepare, run, "01-prepare", config)
    name, arguments = network_of(config)
    network = build_network(name, arguments)
    with torch.no_grad():
        network.get_parameter("head.weight").zero_()
        network.get_parameter("head.bias").fill_(math.log(value / (1 - value)))
    seen = {"region_names": {"1": "LUL", "2": "LLL"}, "crop_spacing_mm": [2.0, 2.0, 2.0]}
    path = run / "04-model" / "model.safetensors"
    save_model(path, network, config, threshold=threshold, score_map=CT_SEVERITY, trained_on=seen)
    return run_stage(pseudo_labels, run, "05-pseudo-labels", config)


def labels_by_region(work: Work, scan: str) -> dict[int, set[int]]:
    """Region (0: outside) -> the classes that its pseudo-labels have; the labels lie on the scan's own spacing."""
    labels = read_volume(work.out / "labels" / f"{scan}.nii.gz", "label")
    _, regions, _ = scene()
    whole = np.full(regions.geometry.shape, 254, np.uint8)
    start = np.rint(regions.geometry.index_map(labels.geometry)[:, 3]).astype(int)  # of the scan in the labels' grid
    z, y, x = (slice(-first, -first + side) for first, side in zip(start, labels.geometry.shape, strict=False))
    whole[z, y, x] = labels.voxels
    return {label: set(whole[regions.voxels == label].tolist()) - {254} for label in (0, 1, 2)}


@pytest.mark.parametrize("inside_only", [False, True])
def test_a_region_without_a_score_is_not_learnt(tmp_path: Path, *, inside_only: bool) -> None:
    config = settings(tmp_path / "cohort", inside_only=inside_only, crf=False)
    work = labelled(tmp_path, config, {"some": {"LUL": 5}, "all": {"LUL": 5, "LLL": 0}}, 0.95, 0.5)
    around = {NOT_LEARNT if inside_only else BACKGROUND}
    assert labels_by_region(work, "some") == {0: around, 1: {LESION}, 2: {NOT_LEARNT}}
    assert labels_by_region(work, "all") == {0: around, 1: {LESION}, 2: {BACKGROUND}}
    assert "1 regions of 1 training scans have no score: the context network does not learn from them" in work.notes


def test_without_iterations_there_is_no_crf(tmp_path: Path) -> None:
    """The map lies above its threshold, so that all of the region is lesion, as it is without `context.crf`."""
    config = settings(tmp_path / "cohort", iterations=0, crf=True, keep_to_scores=False)
    work = labelled(tmp_path, config, {"one": {"LUL": 2, "LLL": 0}}, 0.15, 0.1)
    assert labels_by_region(work, "one") == {0: {BACKGROUND}, 1: {LESION}, 2: {BACKGROUND}}


def test_a_score_whose_interval_does_not_end_at_0_may_have_lesions(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    config = settings(cohort, crf=False, keep_to_scores=False)
    cohort.mkdir()
    intervals = "{1: [0, 0], 2: [0, 25], 3: [25, 100]}"  # from 1 up, as some hospitals score
    (cohort / "scores.yaml").write_text(f"name: from one\npercent: {intervals}\n")
    work = labelled(tmp_path, config, {"one": {"LUL": 2, "LLL": 1}}, 0.95, 0.5)
    assert labels_by_region(work, "one") == {0: {BACKGROUND}, 1: {LESION}, 2: {BACKGROUND}}


@pytest.mark.parametrize(
    ("grey", "shown"),
    [
        (lambda hu: ((hu + 1000) / 1000).astype(np.float32), (0.0, 1.0)),  # a reconstruction in [0, 1]
        (lambda hu: (32 * (hu + 1000)).astype(np.uint16), (0.0, 65535.0)),  # brighter than int16 can say
        (hounsfield, (-1200.0, 300.0)),
    ],
)
def test_the_context_network_sees_the_grey_values_as_they_are(
    tmp_path: Path, grey: Grey, shown: tuple[float, float]
) -> None:
    config = settings(tmp_path / "cohort", crf=False)
    config = config.model_copy(update={"prepare": config.prepare.model_copy(update={"window": shown})})
    work = labelled(tmp_path, config, {"one": {"LUL": 2, "LLL": 0}}, 0.6, 0.5, grey)
    kept = np.load(work.out / "images" / "one.npy")
    assert kept.dtype == (np.int16 if grey is hounsfield else np.float32)
    labels = read_volume(work.out / "labels" / "one.nii.gz", "label")
    image, _, _ = scene()
    expected = resample_onto(image.with_voxels(grey(image.voxels)), labels.geometry).voxels
    np.testing.assert_allclose(kept, expected, rtol=1e-6)


def test_a_true_mask_makes_the_labels_where_there_is_one(tmp_path: Path) -> None:
    """Of its scan also the region without a score is learnt."""
    config = settings(tmp_path / "cohort", crf=False).model_copy(update={"true_masks": TrueMaskSettings(use=True)})
    work = labelled(tmp_path, config, {"masked": {"LUL": 5}}, 0.95, 0.5)
    assert labels_by_region(work, "masked") == {0: {BACKGROUND}, 1: {BACKGROUND, LESION}, 2: {BACKGROUND, LESION}}
    labels = read_volume(work.out / "labels" / "masked.nii.gz", "label")
    image, _, truth = scene()
    expected = resample_onto(image.with_voxels(truth.astype(np.uint8), "label"), labels.geometry).voxels > 0
    np.testing.assert_array_equal(labels.voxels == LESION, expected)


def test_a_scan_whose_true_mask_cannot_be_used_is_learnt_from_its_scores(tmp_path: Path) -> None:
    config = settings(tmp_path / "cohort", crf=False).model_copy(update={"true_masks": TrueMaskSettings(use=True)})
    work = labelled(tmp_path, config, {"one": {"LUL": 5, "LLL": 0}}, 0.95, 0.5, spoil=_with_labels_of_no_subtype)
    assert labels_by_region(work, "one") == {0: {BACKGROUND}, 1: {LESION}, 2: {BACKGROUND}}
    assert any("lesions/one.nii.gz" in note for note in work.notes)


def _with_labels_of_no_subtype(cohort: Path) -> None:
    for file in (cohort / "lesions").iterdir():
        mask = read_volume(file, "label")
        write_volume(mask.with_voxels(mask.voxels * np.uint8(9)), file)
