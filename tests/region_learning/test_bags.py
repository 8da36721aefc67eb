"""What methods share that learn from yes or no: batches, classifiers, cuts, maps in files, probabilities of scans."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bright_ball import scene
from torch import nn

from weakmask.errors import UserError
from weakmask.pipeline import Work
from weakmask.prediction import About, Scan
from weakmask.region_learning import bag_batches, held_out_cut
from weakmask.region_learning.bag_batches import BagBatches, in_plane_blur, load_bags
from weakmask.region_learning.bag_classifier import (
    Objective,
    Validation,
    image_alone,
    lesion_logit,
    with_region,
    write_classifier_score,
)
from weakmask.region_learning.bag_settings import BagTrainingSettings, LocalisationSettings
from weakmask.region_learning.classifying_segmenter import ClassifyingSegmenter
from weakmask.region_learning.crop_maps import in_unit_range, quantile_inside, read_crop_maps, write_crop_maps
from weakmask.region_learning.crops import CropSet
from weakmask.region_learning.localisation import gated, highest
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.segmenter import RegionSegmenter
from weakmask.region_learning.settings import PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY

SIDE = 12


def crops(scores: list[int]) -> CropSet:
    """Slices of growing brightness; each second patient."""
    region = torch.zeros(len(scores), 1, SIDE, SIDE, dtype=torch.bool)
    region[..., 2:10, 2:10] = True
    image = torch.linspace(0.1, 0.9, len(scores)).reshape(-1, 1, 1, 1) * region
    patients = [f"p{number // 2}" for number in range(len(scores))]
    return CropSet(image.half(), region, pd.DataFrame({"score": scores, "patient": patients}))


class Mean(nn.Module):
    """Logits of the mean of the image: one output, or two."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.slope, self.outputs = nn.Parameter(torch.tensor(8.0)), outputs

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logit = self.slope * (image[:, :1].flatten(1).mean(1, keepdim=True) - 0.2)
        return logit if self.outputs == 1 else torch.cat([-logit, logit], 1)


def test_yes_and_no_come_in_turn_and_maps_move_with_their_crops() -> None:
    given = crops([0, 0, 1, 0, 1, 1])
    batches = BagBatches(given, BagTrainingSettings(batch=4, contrast=0.0, blur=0.0), 0, {"map": given.region.byte()})
    for step in range(3):
        batch, again = batches(step), batches(step)
        assert batch["positive"].tolist() == [0.0, 1.0, 0.0, 1.0]
        assert all(torch.equal(batch[name], again[name]) for name in batch)
        assert torch.equal(batch["map"], batch["region"])
        assert not batch["image"][batch["region"] == 0].any()


def work_in(folder: Path) -> Work[Any]:
    """A work whose run has a stage `prepare` and a stage `classification`."""
    for stage in ("01-prepare", "02-classification", "03-out"):
        (folder / stage).mkdir()
    config = SimpleNamespace(data=SimpleNamespace(cohort="cohort"), prepare=PrepareSettings(), device="cpu")
    return Work(folder, folder / "03-out", config)


def test_a_training_needs_yes_and_no(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    work = work_in(tmp_path)
    for scores in ([0, 0], [1, 1]):
        monkeypatch.setattr(bag_batches, "load_crops", lambda *_, scores=scores: crops(scores))
        with pytest.raises(UserError, match=r"cohort: . of 2 training regions have lesions; expected some with"):
            load_bags(work, "training")
        assert len(load_bags(work, "validation")) == 2


def test_a_blur_keeps_to_its_slice() -> None:
    volume = torch.zeros(1, 1, 3, 9, 9)
    volume[0, 0, 1, 4, 4] = 1.0
    found = in_plane_blur(volume, 2.0, torch.Generator().manual_seed(0))
    assert found[0, 0, 1].count_nonzero() > 1
    assert not found[0, 0, [0, 2]].any()
    assert torch.equal(in_plane_blur(volume, 0.0, torch.Generator()), volume)


def test_two_outputs_are_one_logit_and_the_loss_is_their_cross_entropy() -> None:
    given = crops([0, 1, 0, 1])
    batch = {"image": given.image.float(), "region": given.region.float(), "positive": torch.tensor([0.0, 1, 0, 1])}
    output = Mean(2)(batch["image"])
    found = Objective(image_alone)(Mean(2), batch, 0)["total"]
    torch.testing.assert_close(found, nn.functional.cross_entropy(output, batch["positive"].long()))
    torch.testing.assert_close(lesion_logit(output), 2 * lesion_logit(Mean()(batch["image"])))
    assert with_region(batch["image"], batch["region"]).shape[1] == 2


def test_validation_ranks_held_out_regions() -> None:
    assert Validation(crops([0, 0, 1, 1]), image_alone, 3)(Mean(), 0)["area_under_roc"] == 1.0
    assert Validation(crops([1, 1, 0, 0]), image_alone, 3)(Mean(), 0)["area_under_roc"] == 0.0
    assert "area_under_roc" not in Validation(crops([1, 1]), image_alone, 3)(Mean(), 0)


def test_the_auc_has_an_interval_over_patients(tmp_path: Path) -> None:
    lines = [("a", 0, 0.1), ("a", 1, 0.8), ("b", 0, 0.9), ("b", 1, 0.7), ("c", 0, 0.2), ("c", 1, 0.95)]
    table = pd.DataFrame(lines, columns=["patient", "lesion", "probability"])
    work = work_in(tmp_path)
    table.to_csv(tmp_path / "02-classification" / "classifier.csv", index=False)
    write_classifier_score(work, "classification")
    (line,) = pd.read_csv(work.out / "classifier.csv").to_dict("records")
    assert (line["regions"], line["with_lesions"]) == (6, 3)
    assert line["auc"] == pytest.approx(7 / 9, abs=1e-5)
    assert line["auc_low"] <= line["auc"] <= line["auc_high"]


def test_a_cut_needs_a_held_out_region_without_lesions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    work = work_in(tmp_path)
    monkeypatch.setattr(held_out_cut, "load_bags", lambda *_: crops([1, 1]))
    with pytest.raises(UserError, match=r"^cohort: no region without lesions is held out, and the cut of the maps"):
        held_out_cut.held_out_cut(work, lambda image, region: image * region)
    monkeypatch.setattr(held_out_cut, "load_bags", lambda *_: crops([0, 1, 0]))
    cut = held_out_cut.held_out_cut(work, lambda image, region: image * region)
    assert cut == pytest.approx(0.1, abs=1e-3)  # of the two healthy ones the darker: it is one value


def test_maps_of_crops_come_back_from_their_files(tmp_path: Path) -> None:
    for shape in ((300, 1, 4, 5), (3, 1, 2, 4, 5)):
        folder = tmp_path / str(len(shape))
        values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        write_crop_maps(folder, (one.numpy()[0] for one in values))
        given = CropSet(values, values > 0, pd.DataFrame())
        found = read_crop_maps(folder, given)
        torch.testing.assert_close(found / 255, values, atol=0.5 / 255 + 1e-6, rtol=0)
        with pytest.raises(ValueError, match="expected those of"):
            read_crop_maps(folder, CropSet(values[:-1], values[:-1] > 0, pd.DataFrame()))


def test_a_scale_is_a_quantile_inside_and_becomes_one_half() -> None:
    values = np.arange(1000, dtype=np.float32)
    assert quantile_inside([(values, values < 800)], 1.0) == 792  # every eighth
    assert quantile_inside([(np.zeros(10, np.float32), np.ones(10, bool))], 0.98) > 0
    torch.testing.assert_close(in_unit_range(torch.tensor([0.0, 2.0, 6.0]), 2.0), torch.tensor([0.0, 0.5, 0.75]))


def test_a_gate_and_the_highest_share() -> None:
    image = torch.tensor([0.2, 0.4]).reshape(1, 1, 1, 2)
    settings, prepare = LocalisationSettings(gate_hu=-750.0), PrepareSettings()  # 0.3 of the window
    found = gated(lambda image, region: region, settings, prepare)(image, torch.ones_like(image))
    assert found.flatten().tolist() == [0.0, 1.0]
    values, inside = np.arange(100.0).reshape(1, 10, 10), np.ones((1, 10, 10), bool)
    inside[0, -1] = False
    assert np.flatnonzero(highest(values, inside, 0.1)).tolist() == list(range(81, 90))
    assert not highest(values, np.zeros_like(inside), 0.1).any()


def test_a_scan_is_as_probable_as_its_most_probable_region() -> None:
    image, regions, _ = scene()
    prepare = PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8))
    config = SimpleNamespace(prepare=prepare, maps=SimpleNamespace(scales=(1.0,)))
    model = RegionModel(Mean().eval(), config, CT_SEVERITY, {1: "LUL", 2: "LLL"}, (1.0, 1.0, 1.0), {})

    def segment_volume(image: Any, regions: Any, *, known: Any) -> Any:
        return np.zeros(image.voxels.shape, np.float32), np.zeros(image.voxels.shape, bool)

    segmenter = ClassifyingSegmenter(RegionSegmenter(model, About("t", "m", {}, {}), segment_volume), image_alone)
    each = segmenter.probabilities(image, regions, [1, 2])
    assert each[0] > each[1]  # the ball lies in the first
    found = segmenter.segment(Scan("scan", image, regions, {1: "LUL", 2: "LLL"}))
    assert [(value.scope, value.name, value.quantity) for value in found.values] == [
        ("region", "LUL", "fraction"),
        ("region", "LLL", "fraction"),
        ("image", "scan", "probability"),
    ]
    assert found.values[-1].amount == pytest.approx(max(each))
