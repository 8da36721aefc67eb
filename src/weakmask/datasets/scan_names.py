"""The scan that a cell of a label table means: its name, or its file, with or without a folder."""

from collections.abc import Collection

from weakmask.datasets.case import Fault
from weakmask.datasets.cell_values import name_in, whole_number_in
from weakmask.outgoing_text import cut
from weakmask.volume.files import IMAGE_SUFFIXES


class ScanNames:
    """The names of a cohort's images, by which the cells of its tables are understood."""

    def __init__(self, images: Collection[str]) -> None:
        """Take the names of the images, as `scan_name` gives them."""
        self._images = images
        self._files: dict[str, str] = {}  # cell -> scan, where the cell holds a file
        self._folders: dict[str, dict[str, str]] = {}  # scan -> folder -> the cell that says so

    def scan_of(self, cell: str) -> str:
        """The scan that a cell means.

        A name of an image is meant literally. Otherwise, `images/p1.nii.gz` and `p1.nii.gz` mean the image p1 if there
        is one, `12.0` and `12,0` mean the image 12, and a file name of an image that is not there loses its suffix.
        """
        name = name_in(cell)
        if name in self._images:
            return name
        folder, _, last = name.replace("\\", "/").rstrip("/").rpartition("/")
        bare = _without_suffix(last)
        meant = next((one for one in (bare, whole_number_in(bare)) if one in self._images), None)
        if meant is None:
            return bare if bare and bare != last else name
        self._files.setdefault(cell, meant)
        if folder:
            self._folders.setdefault(meant, {}).setdefault(folder, cell)
        return meant

    def faults(self, file: str) -> list[Fault]:
        """A note that file names stand in a table, and a fault for every scan whose rows name files of two folders."""
        found = []
        if self._files:
            cell, scan = next(iter(self._files.items()))
            rest = f" and {len(self._files) - 1} more" if len(self._files) > 1 else ""
            text = f"{file}: {cut(repr(cell))} is read as the scan {scan}{rest}"
            found.append(Fault("", file, text, fatal=False))
        for scan, cells in self._folders.items():
            longest = max(cells, key=len)
            ends = {folder: f"/{longest}".endswith(f"/{folder.lstrip('./')}") for folder in cells}
            other = next((folder for folder, same in ends.items() if not same), None)
            if other is not None:
                both = f"{cut(repr(cells[longest]))} and {cut(repr(cells[other]))} both mean the one image {scan}"
                text = f"{file}: {both}; give each image a name of its own; until then {scan} is left out"
                found.append(Fault(scan, file, text, fatal=True))
        return found


def _without_suffix(name: str) -> str:
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]
