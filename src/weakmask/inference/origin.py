"""The origin of a result: the model, the settings, and the digests of the files that were read."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weakmask import __version__
from weakmask.errors import refuse_machine_fault
from weakmask.pipeline.keys import FileState, state_of
from weakmask.regions.lobe_model import SHIPPED
from weakmask.regions.scan_regions import RegionSource
from weakmask.volume.volume import Volume


@dataclass(frozen=True)
class Origin:
    """The origin of a result; the same origin gives the same result.

    Attributes:
        model: Digest of the model file; empty for a model that is not in a file.
        settings: All else that changes a number, as plain values.
        files: Name of an input (image, regions, lobe_model) -> its state.
    """

    model: str
    settings: Mapping[str, Any]
    files: Mapping[str, FileState]

    def same_as(self, other: "Origin") -> bool:
        """Whether two results were made from the same content, wherever it lies."""
        return bool(self.model) and self.content == other.content

    @property
    def content(self) -> dict[str, Any]:
        """Digests and settings, without the places and times of files."""
        digests = {name: state.sha256 for name, state in self.files.items()}
        return {"model": self.model, "settings": dict(self.settings), "files": digests}

    @property
    def comparable(self) -> tuple[str, str]:
        """Equal for results that may stand in one table: those of one model, with the same columns."""
        return self.model, str(self.settings.get("subtypes"))

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "model": self.model,
            "settings": dict(self.settings),
            "files": {name: asdict(state) for name, state in self.files.items()},
        }


def read_origin(plain: Mapping[str, Any]) -> Origin:
    """The origin that `Origin.plain` wrote.

    Raises:
        KeyError: A part is missing.
        TypeError: A part is something else.
    """
    files = {str(name): FileState(**state) for name, state in plain["files"].items()}
    return Origin(str(plain["model"]), dict(plain["settings"]), files)


def origin_of(
    image: Path | Volume,
    source: RegionSource,
    model: str,
    settings: Mapping[str, Any],
    known: Mapping[str, FileState],
    without: Path | None = None,
) -> Origin:
    """The origin of a result before it is made.

    Args:
        image: A file, a folder, or a volume.
        source: Where the regions of this scan come from.
        model: Digest of the model file.
        settings: Settings of the model's use.
        known: States of the inputs at an earlier time: a file of the same size and time is not read again.
        without: A folder of results, which does not count as a part of the image.

    Raises:
        MachineError: A file cannot be read for a reason that is the machine's.
    """
    numbering = source.numbering if isinstance(source.numbering, str) else _plain_names(source.numbering)
    files: dict[str, Path | Volume] = {"image": image}
    if source.masks is not None:
        files["regions"] = source.masks
    elif isinstance(SHIPPED, Path) or source.lobe_model is not None:
        files["lobe_model"] = source.lobe_model or Path(str(SHIPPED))
    states = {name: _state(given, known.get(name), without) for name, given in files.items()}
    return Origin(model, {"weakmask": __version__, "numbering": numbering, **settings}, states)


def _plain_names(names: Mapping[int, str] | None) -> dict[str, str] | None:
    return None if names is None else {str(label): name for label, name in names.items()}


def _state(given: Path | Volume, known: FileState | None, without: Path | None) -> FileState:
    if isinstance(given, Volume):
        digest = hashlib.sha256(repr(given.geometry).encode() + given.voxels.dtype.str.encode())
        digest.update(given.voxels.tobytes())
        return FileState(digest.hexdigest(), given.voxels.nbytes, 0)
    try:
        return state_of(given, known, without)
    except OSError as error:
        refuse_machine_fault(error, given)
        return FileState("unreadable", 0, 0)  # reading it says why
