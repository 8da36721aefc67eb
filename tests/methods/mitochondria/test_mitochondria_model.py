"""A model made by hand finds dark bodies; `predict` writes them as instances on the stack's own grid."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.errors import UserError
from weakmask.methods import load_segmenter
from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.mitochondria.model import MitochondriaSegmenter
from weakmask.methods.mitochondria.probabilities import averaged_over_views, probability_maps, windows_for
from weakmask.networks import build_network
from weakmask.pipeline import provenance
from weakmask.prediction import Scan
from weakmask.refinement.instance_search import Decoder
from weakmask.training.checkpoints import load_weights, save_weights
from weakmask.volume.stack_files import open_stack
from weakmask.volume.volume import Volume

CPU = torch.device("cpu")


class Dark(nn.Module):
    """Dark pixels are mitochondria, and nothing is a contour."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([20 * (0.4 - image), torch.full_like(image, -20.0)], dim=1)


def bodies() -> np.ndarray:
    image = np.full((5, 70, 90), 200, np.uint8)
    image[1:4, 10:30, 10:30], image[:, 40:60, 50:80] = 20, 20
    return image


def by_hand(pixel_nm: float | None = None, **predict: object) -> MitochondriaSegmenter:
    config = MitochondriaSettings.model_validate(
        {"data": {"cohort": "c"}, "prepare": {"pixel_nm": pixel_nm}, "predict": predict}
    )
    decoder = Decoder(seed=0.6, contour=0.5, mask=0.5, least_voxels=20)
    return MitochondriaSegmenter(Dark(), decoder, (30.0, 8.0, 8.0), (30.0, 16.0, 16.0), config, {}, CPU)


@pytest.mark.parametrize(("pixel_nm", "views"), [(None, 1), (16.0, 1), (None, 4)])
def test_bodies_are_found_on_the_stacks_own_grid(pixel_nm: float | None, views: int):
    scan = Scan("a", Volume.from_array(bodies(), (30e-6, 8e-6, 8e-6)))
    found = by_hand(pixel_nm, views=views).segment(scan)
    assert found.kind == "instances"
    assert found.mask.geometry == scan.image.geometry
    assert np.array_equal(found.mask.voxels > 0, bodies() < 100)
    assert len(np.unique(found.mask.voxels)) == 3
    assert found.instances is not None
    assert sorted(found.instances["voxels"]) == [1200, 3000]
    assert found.instances["nm3"].max() == pytest.approx(3000 * 30 * 8 * 8, rel=1e-4)
    assert [(value.quantity, value.amount) for value in found.values] == [("count", 2.0)]


def test_a_stack_without_a_voxel_size_has_that_of_the_training():
    found = by_hand(16.0).segment(Scan("a", Volume.from_array(bodies(), (1, 1, 1))))
    assert found.instances is not None
    assert found.instances["nm3"].max() == pytest.approx(3000 * 30 * 8 * 8, rel=1e-4)


def test_a_stack_of_another_order_of_size_is_refused():
    """A CT gave a mask without a word: its millimetres are a hundred thousand times a micrograph's nanometres."""
    with pytest.raises(
        UserError, match=r"voxels of 1.25e\+06 x 700000 x 700000 nm, .* stacks of 30 x 8 x 8 nm; expected"
    ):
        by_hand().segment(Scan("ct", Volume.from_array(bodies(), (1.25, 0.7, 0.7))))
    assert "is taken to have that of the training stacks, 30 x 8 x 8 nm" in by_hand().about.notes[0]


def test_small_stacks_have_one_window():
    settings = by_hand().config.predict.model_copy(update={"window": (32, 64, 64), "stride": (16, 40, 32)})
    windows = windows_for((20, 50, 200), settings)
    assert windows.size == (20, 64, 64)
    assert windows.stride == (20, 64, 32)
    assert windows.padding == (0, 0, 128)


def test_a_stack_of_few_sections_is_mirrored_at_both_ends():
    settings = by_hand().config.predict.model_copy(update={"window": (32, 64, 64), "padding": (6, 32, 32)})
    windows = windows_for((20, 64, 64), settings)
    assert (windows.size, windows.padding) == ((32, 64, 64), (6, 0, 0))
    assert list(windows.starts((20, 64, 64), 0)) == [-6]
    assert windows_for((21, 64, 64), settings).size == (32, 64, 64)  # two windows reach over both ends

    class SeesBeside(nn.Module):
        """Logits that are high where the sections before and after are not zero."""

        def forward(self, image: Tensor) -> Tensor:
            found = torch.nn.functional.avg_pool3d(image, (3, 1, 1), 1, (1, 0, 0))
            return 40 * (torch.cat([found, found], dim=1) - 0.9)

    bright = np.full((4, 32, 32), 255, np.uint8)
    assert probability_maps(SeesBeside(), bright, settings, CPU).min() > 200
    alone = settings.model_copy(update={"padding": (0, 32, 32)})
    assert probability_maps(SeesBeside(), bright, alone, CPU)[:, 0].max() < 10


def test_views_of_a_network_without_sides_agree():
    voxels = torch.rand(1, 1, 3, 8, 8) * 255
    one, four, sixteen = (averaged_over_views(Dark(), views, CPU)(voxels) for views in (1, 4, 16))
    torch.testing.assert_close(one, four, atol=1e-2, rtol=0)
    torch.testing.assert_close(one, sixteen, atol=1e-2, rtol=0)

    class Ramp(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            ramp = torch.linspace(-3, 3, image.shape[2])[None, None, :, None, None].expand_as(image)
            return torch.cat([ramp, ramp], dim=1)

    assert averaged_over_views(Ramp(), 1, CPU)(voxels)[0, 0, 0, 0, 0] < 0.1
    torch.testing.assert_close(averaged_over_views(Ramp(), 4, CPU)(voxels), torch.full((1, 2, 3, 8, 8), 0.5))


def test_a_model_without_numbers_is_refused():
    class Broken(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.full((1, 2, *image.shape[2:]), float("nan"))

    with pytest.raises(UserError, match="no number"):
        averaged_over_views(Broken(), 1, CPU)(torch.zeros(1, 1, 2, 8, 8))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with random weights."""
    config = MitochondriaSettings.model_validate(
        {"data": {"cohort": "c", "spacing_nm": [30, 8, 8]}, "network": {"widths": [2, 2]}}
    )
    name, arguments = config.network.described()
    torch.manual_seed(0)
    header = {
        "method": "mitochondria",
        "network": name,
        "arguments": arguments,
        "decoder": {
            "method": "watershed", "seed": 0.5, "contour": 0.9, "mask": 0.4, "grow_pixels": 3, "least_voxels": 1.0
        },
        "spacing_nm": [30.0, 8.0, 8.0],
        "working_nm": [30.0, 8.0, 8.0],
        "config": config.model_dump(mode="json"),
        "provenance": provenance(),
    }  # fmt: skip
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_weights(path, build_network(name, arguments), header)
    return path


def predict(*words: object) -> None:
    command = ["predict", *map(str, words), "--device", "cpu"]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0


def test_a_folder_of_sections_is_one_stack(model: Path, tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / "stacks" / name).mkdir(parents=True)
        for z, section in enumerate(bodies()):
            Image.fromarray(section).save(tmp_path / "stacks" / name / f"{z:03d}.png")
    predict(model, tmp_path / "stacks" / "a", "-o", tmp_path / "out")
    stack = open_stack(tmp_path / "out" / "instances.tif", "label")
    assert stack.shape == bodies().shape
    assert stack.dtype == np.uint32
    table = pd.read_csv(tmp_path / "out" / "instances.csv")
    labels = stack[:]
    assert table["id"].tolist() == np.unique(labels[labels > 0]).tolist()
    assert pd.read_csv(tmp_path / "out" / "scores.csv")["count"].tolist() == [len(table)]
    assert (tmp_path / "out" / "report.html").exists()
    predict(model, tmp_path / "stacks", "-o", tmp_path / "both")
    assert {path.parent.name for path in (tmp_path / "both").rglob("instances.tif")} == {"a", "b"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decoder": {}}, "decoder.method is nothing"),
        ({"spacing_nm": [1.0, 2.0]}, "spacing_nm"),
        ({"network": "unet", "arguments": {}}, "does not fit its weights"),
        ({"config": {"method": "mitochondria"}}, "data is nothing"),
    ],
)
def test_a_damaged_header_is_one_line(model: Path, tmp_path: Path, change: dict[str, object], words: str):
    state, header = load_weights(model)

    class Flat(nn.Module):
        def state_dict(self) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return state

    save_weights(tmp_path / "m.safetensors", Flat(), {**header, **change})
    with pytest.raises(UserError) as caught:
        load_segmenter(tmp_path / "m.safetensors", "cpu")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
