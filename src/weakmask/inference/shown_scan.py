"""The scan of a result with its layers, read back for a report; of a large stack a part."""

from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.csv_table import read_csv
from weakmask.errors import UserError
from weakmask.inference.result_files import TABLE, holds_instances
from weakmask.inference.scan_record import ScanRecord
from weakmask.inference.viewer_file import Layers, recorded_layers
from weakmask.prediction import Scan
from weakmask.progress import collected_notes
from weakmask.regions.segment_scan import read_scan
from weakmask.volume.geometry import Box
from weakmask.volume.stack import Stack
from weakmask.volume.stack_files import is_stack, open_stack

SHOWN_VOXELS = 1 << 25  # of a stack


def shown_scan(folder: Path, record: ScanRecord) -> tuple[Scan, Layers, str]:
    """A scan, its layers, and a line about the part of it that they are; empty for the whole.

    Args:
        folder: The folder of the result.
        record: Its record.

    Raises:
        UserError: The image was given as an array, cannot be read any more, or has another shape than its result.
    """
    image = Path(record.image)
    if not record.image:
        raise UserError(f"{record.scan}: its image was given as an array")
    if not (holds_instances(record) and is_stack(image)):
        with collected_notes():  # they were printed when the scan was segmented
            scan = read_scan(image, record.scan, record.origin.settings.get("series"))
        return scan, recorded_layers(folder, record, scan.image), ""
    stack = open_stack(image)
    part = shown_part(stack, folder)
    scan = Scan(record.scan, stack.part(part).volume())
    spans = zip(("sections", "rows", "columns"), part.start, part.stop, strict=True)
    line = ", ".join(f"{what} {start} to {stop - 1}" for what, start, stop in spans)
    whole = part.shape == stack.shape
    return scan, recorded_layers(folder, record, scan.image, part), "" if whole else f"shown: {line}"


def shown_part(stack: Stack, folder: Path) -> Box:
    """The part of a stack that a report shows: all if it is small, else a box around the largest instance.

    Args:
        stack: The stack.
        folder: Of its result, with the table of instances.
    """
    sides = list(stack.shape)
    while np.prod(sides, dtype=object) > SHOWN_VOXELS:
        longest = int(np.argmax(sides))
        sides[longest] = -(-sides[longest] // 2)
    middle = [n / 2 for n in stack.shape]
    table = read_csv(folder / TABLE) if (folder / TABLE).exists() else pd.DataFrame()
    if len(table):
        largest = table.loc[table["voxels"].idxmax()]
        middle = [(largest[f"{axis}_start"] + largest[f"{axis}_stop"]) / 2 for axis in "zyx"]
    starts = [min(max(0, int(at - side / 2)), n - side) for at, side, n in zip(middle, sides, stack.shape, strict=True)]
    z, y, x = ((start, start + side) for start, side in zip(starts, sides, strict=True))
    return Box((z[0], y[0], x[0]), (z[1], y[1], x[1]))
