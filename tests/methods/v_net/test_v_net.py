"""V-Net's grid is the middle of a scan and the way back is exact; a model made by hand marks classes there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from weakmask.datasets.case import Case
from weakmask.errors import UserError
from weakmask.evaluation.class_masks import IGNORED
from weakmask.methods.v_net.config import PrepareSettings, VNetSettings
from weakmask.methods.v_net.evaluation import class_scores, summarised
from weakmask.methods.v_net.model import VNetSegmenter
from weakmask.methods.v_net.network_grid import framed_image, framed_labels, network_grid, on_own_grid
from weakmask.methods.v_net.prepare import read_case
from weakmask.methods.v_net.training import Objective, augmented
from weakmask.pipeline import Work
from weakmask.prediction import Scan
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

CONFIG = VNetSettings.model_validate(
    {"data": {"cohort": "c", "classes": ["a", "b"]}, "prepare": {"spacing_mm": None, "shape": [16, 16, 16]}}
)
LABELS = np.zeros((12, 20, 14), np.uint8)
LABELS[4:8, 6:10, 4:9], LABELS[4:8, 10:14, 4:9] = 1, 2


class ByGrey(nn.Module):
    """Dark voxels are background, grey ones class 1, bright ones class 2."""

    def forward(self, image: Tensor) -> Tensor:
        level = torch.where(image > 3.5, 2, torch.where(image > 1, 1, 0))[:, 0]
        return 20.0 * nn.functional.one_hot(level, 3).permute(0, 4, 1, 2, 3).float()


def volume(voxels: np.ndarray, kind: str = "image", spacing: tuple[float, ...] = (1, 1, 1)) -> Volume:
    return Volume.from_array(voxels, spacing, "label" if kind == "label" else "image")


def test_the_grid_is_the_middle_and_pads_what_is_missing() -> None:
    framed = framed_image(volume(LABELS * 50.0), CONFIG.prepare)
    assert framed.geometry.shape == (16, 16, 16)
    assert (framed.voxels[:2] == 0).all()  # 12 sections of 16 lie inside
    inside = framed.voxels[2:14, :, 1:15]
    assert inside.mean() == pytest.approx(0, abs=1e-5)
    assert inside.std() == pytest.approx(1, rel=1e-4)
    labels = framed_labels(volume(LABELS, "label"), CONFIG.prepare)
    assert np.array_equal(labels.voxels[2:14, :, 1:15], LABELS[:, 2:18])


@pytest.mark.parametrize("spacing", [None, (1.5, 1.0, 1.0)])
def test_labels_come_back_to_the_scans_grid(spacing: tuple[float, float, float] | None) -> None:
    settings = PrepareSettings(spacing_mm=spacing, shape=(16, 24, 24))
    truth = volume(LABELS, "label")
    framed = framed_labels(truth, settings)
    assert framed.geometry.same_grid(network_grid(truth.geometry, settings))
    found, any_class = on_own_grid(
        np.eye(3, dtype=np.float32)[framed.voxels].transpose(3, 0, 1, 2), framed.geometry, truth.geometry
    )
    assert (found == LABELS).mean() > (0.9999 if spacing is None else 0.97)
    assert (any_class[found > 0] > 0.3).all()


def test_a_model_by_hand_marks_classes_on_the_scans_grid() -> None:
    segmenter = VNetSegmenter(ByGrey(), CONFIG, {}, torch.device("cpu"))
    found = segmenter.segment(Scan("s", volume(LABELS * 50.0)))
    assert np.array_equal(found.mask.voxels[:, 2:18], LABELS[:, 2:18])
    assert [(value.of, value.amount) for value in found.values] == [
        (name, pytest.approx((k == LABELS).mean())) for k, name in ((1, "a"), (2, "b"))
    ]


def test_scores_of_each_class_leave_ignored_voxels_out() -> None:
    truth, mask = LABELS.copy(), LABELS.copy()
    mask[0], truth[0] = 1, IGNORED
    scores = list(class_scores(volume(mask, "label"), volume(truth, "label"), ("a", "b")))
    assert [(score["class"], score["dice"], score["surface_mm"]) for score in scores] == [("a", 1, 0), ("b", 1, 0)]
    mask[4:8, 10:14, 4:9] = 0
    second = list(class_scores(volume(mask, "label"), volume(truth, "label"), ("a", "b")))[1]
    assert second["dice"] == 0
    assert np.isnan(second["surface_mm"])


def test_the_summary_has_the_mean_over_classes() -> None:
    rows = [{"method": "m", "scan": s, "patient": s, "class": c, "dice": d, "surface_mm": 1.0}
            for s, c, d in (("x", "a", 0.6), ("x", "b", 0.9), ("y", "a", 0.8))]  # fmt: skip
    summary = summarised(pd.DataFrame(rows)).set_index("class")
    assert summary["dice"].to_dict() == pytest.approx({"a": 0.7, "b": 0.9, "mean": 0.8})


def test_the_loss_is_zero_for_the_truth_and_ignores_what_it_must() -> None:
    labels = torch.from_numpy(LABELS.astype(np.int64))[None, None]
    logits = 60 * nn.functional.one_hot(labels[:, 0], 3).permute(0, 4, 1, 2, 3).float()

    class Fixed(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return logits

    objective = Objective(CONFIG)
    image = torch.zeros(1, 1, *LABELS.shape)
    assert float(objective(Fixed(), {"image": image, "labels": labels}, 0)["total"]) == pytest.approx(0, abs=1e-6)
    wrong = labels.clone()
    wrong[:, :, :2] = IGNORED
    assert float(objective(Fixed(), {"image": image, "labels": wrong}, 0)["total"]) == pytest.approx(0, abs=1e-6)
    wrong[:, :, 4:8] = 0
    assert float(objective(Fixed(), {"image": image, "labels": wrong}, 0)["dice"]) > 0.5


def test_a_scan_and_its_labels_move_together() -> None:
    labels = torch.from_numpy(LABELS.astype(np.int64))[None, None]
    image, moved = augmented(labels.float(), labels, CONFIG.augmentation, torch.Generator().manual_seed(1))
    assert not torch.equal(moved, labels)
    means = [float(image[moved == k].mean()) for k in range(3)]
    assert means[0] < means[1] < means[2]


def test_a_label_without_a_name_is_refused(tmp_path: Path) -> None:
    write_volume(volume(LABELS * 50.0), tmp_path / "a.nii.gz")
    write_volume(volume(LABELS + (LABELS > 0), "label"), tmp_path / "t.nii.gz")
    case = Case("a", tmp_path / "a.nii.gz", None, tmp_path / "t.nii.gz", {}, truth_kind="classes")
    with pytest.raises(UserError, match=r"t.nii.gz: has the label 3, and data.classes names 2; name every class"):
        read_case(case, Work(tmp_path, tmp_path, CONFIG))
