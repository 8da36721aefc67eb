"""Region masks whose files name their structures, read with the numbers of a cohort's or a model's regions."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from weakmask.anatomy.region_synonyms import label_among
from weakmask.volume.files import read_volume
from weakmask.volume.volume import Volume


def read_region_mask(path: Path, region_names: Mapping[int, str]) -> Volume:
    """Read a region mask; structures that its file names get the numbers of the regions of these names.

    A name may be a synonym: `lung_upper_lobe_left` is LUL. Where the file has no names, its numbers count.

    Args:
        path: A label map, a segmentation (.seg.nrrd, DICOM SEG), or a folder with a mask for each structure.
        region_names: Label -> name of the regions.

    Raises:
        UserError: As `read_volume`.
    """
    return read_volume(path, "label", label_of=partial(label_among, region_names=region_names))
