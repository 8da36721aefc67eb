"""A trained model that is loaded once and segments any number of images: files, DICOM folders, volumes and arrays.

The command line, notebooks and every server use this one object, so that all give the same masks and values.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from weakmask.inference.doubtful_mask import doubt_of
from weakmask.inference.image_forms import Image, as_scan, as_source
from weakmask.inference.origin import Origin, origin_of
from weakmask.inference.result import Result
from weakmask.methods import load_segmenter, model_file
from weakmask.pipeline.keys import FileState, state_of
from weakmask.prediction import About, Limits, Precision, Prediction, Scan, Segmenter
from weakmask.progress import collected_notes, note
from weakmask.regions.scan_regions import RegionSource
from weakmask.regions.segment_scan import segment_scan
from weakmask.scoring.subtype_reference import read_reference
from weakmask.scoring.subtypes import label_subtypes
from weakmask.training.devices import device_of
from weakmask.volume.dicom import dicom_ids
from weakmask.volume.pictures import is_picture
from weakmask.volume.volume import Volume


@dataclass(frozen=True)
class Model:
    """A trained model of any method; `load` makes one.

    Attributes:
        segmenter: The model itself.
        device: Where a lobe network computes if a scan brings no regions.
        file: Its file; None for a model that is not in a file.
        precision: Number format of feature maps.
        subtypes: Reference table of `weakmask subtypes-table`; None: lesions are not classified.
        memory_gb: Memory for feature maps of networks that take whole scans, in GB.
    """

    segmenter: Segmenter
    device: str = "auto"
    file: Path | None = None
    precision: Precision = "auto"
    subtypes: Path | None = None
    memory_gb: float = 4.0
    _reference: pd.DataFrame | None = field(default=None, repr=False)
    _states: tuple[FileState | None, FileState | None] = field(default=(None, None), repr=False)

    def __post_init__(self) -> None:
        """Read the reference table, and the digests of model and table.

        Raises:
            UserError: The table cannot be read.
        """
        states = tuple(None if file is None else state_of(file) for file in (self.file, self.subtypes))
        object.__setattr__(self, "_states", states)  # the way into a frozen dataclass
        if self.subtypes is not None:
            object.__setattr__(self, "_reference", read_reference(self.subtypes))

    def __repr__(self) -> str:
        """One line: the method, its regions, and the device."""
        regions = ", ".join(self.needs_regions.values()) or "none"
        return f"Model({self.about.title}; regions {regions}; device {self.device})"

    @property
    def needs_regions(self) -> Mapping[int, str]:
        """Label -> name of the regions that it was trained on; empty: it needs none."""
        return self.segmenter.needs_regions

    @property
    def about(self) -> About:
        """Title, methods text, config and provenance of the model."""
        return self.segmenter.about

    def segment(
        self,
        image: Image,
        regions: Image | RegionSource | None = None,
        spacing_mm: Sequence[float] | None = None,
        region_names: str | Mapping[int, str] | None = None,
        name: str | None = None,
        *,
        series: str | None = None,
    ) -> Result:
        """Segment one image.

        Args:
            image: A file, a folder of DICOM files, a volume, or an array (z, y, x) or (y, x); a CT in Hounsfield
                units.
            regions: Region labels on the image's grid, in the same forms; also a folder of masks with the names of
                scans. None: lobes by a network where the model was trained on lobes, else the lungs by threshold.
            spacing_mm: Voxel size of an array along each axis, in mm; needed for an array, refused for the rest.
            region_names: Label -> name of the regions, or the tool that numbered the lobes ("totalsegmentator"). None:
                those of the training.
            name: Of the image, for messages and files. None: the name of its file, or "scan".
            series: UID, number or description of the DICOM series to read, for a folder with several.

        Returns:
            `mask`, `maps`, `regions` and values on the image's grid; `table` has one row per region, `warnings` the
            notes on it, and `save` writes its folder.

        Raises:
            UserError: A file that cannot be read, an array without a spacing, a series without a DICOM folder, regions
                on another grid, or an image that does not fit the model.
        """
        start = time.perf_counter()
        with collected_notes() as warnings:
            scan, file = as_scan(image, spacing_mm, name, series)
            source = as_source(regions, scan.image, region_names)
            path = Path(image) if isinstance(image, str | Path) else None
            origin = self.origin(scan.image if path is None else path, source, series)
            scan, found = segment_scan(self.segmenter, scan, file, source, self.device)
            subtypes = self._subtypes(scan, found, path)
            if doubt := doubt_of(scan.name, self.segmenter, found):
                note(doubt, again=True)
        for line in warnings:
            note(line, again=True)
        ids = {} if path is None else dicom_ids(path, series)
        seconds = time.perf_counter() - start
        made = (scan, found, self.segmenter, origin, path, self.file)
        return Result(*made, ids, tuple(warnings), seconds, subtypes)

    def origin(
        self,
        image: Path | Volume,
        source: RegionSource,
        series: str | None = None,
        known: Origin | None = None,
        without: Path | None = None,
    ) -> Origin:
        """The origin of the result of an image, without making it.

        Args:
            image: A file, a folder, or a volume.
            source: Where its regions come from.
            series: The series to read, for a folder with several.
            known: An earlier origin: a file of the same size and time is not read again.
            without: A folder of results, which does not count as a part of the image.
        """
        model, subtypes = self._states
        settings: dict[str, Any] = {
            "precision": self.precision,
            "series": series,
            "subtypes": None if subtypes is None else subtypes.sha256,
        }
        states = {} if known is None else known.files
        if not self.needs_regions:
            source = RegionSource(lobe_model=None)
        made = origin_of(image, source, "" if model is None else model.sha256, settings, states, without)
        if self.needs_regions:
            return made
        return replace(made, files={"image": made.files["image"]})

    def _subtypes(self, scan: Scan, found: Prediction, path: Path | None) -> Volume | None:
        """The lesions by subtype; None if they are not classified."""
        if self._reference is None or found.regions is None or (path is not None and is_picture(path)):
            return None
        return label_subtypes(scan.image, found.mask, self._reference)


def load(
    model: str | Path | Segmenter | Model,
    device: str | torch.device = "auto",
    memory_gb: float = 4.0,
    precision: Precision = "auto",
    subtypes: str | Path | None = None,
) -> Model:
    """Load a trained model.

    Args:
        model: A run folder of `train`, a model.safetensors file, or a segmenter that is loaded already.
        device: auto (a GPU if there is one), cpu, cuda, cuda:1 or mps, or a device of torch.
        memory_gb: Memory for feature maps of networks that take whole scans, in GB.
        precision: Number format of these maps: auto, float32, bfloat16 or float16.
        subtypes: Reference table of `weakmask subtypes-table`: the lesions of a CT are then classified.

    Raises:
        UserError: No such model, a run that is not finished, or a device that is not available.
    """
    if isinstance(model, Model):
        return model
    device_of(device)  # before a model is read in vain
    table = None if subtypes is None else Path(subtypes)
    if isinstance(model, str | Path):
        segmenter = load_segmenter(model, device, Limits(memory_gb, precision))
        return Model(segmenter, str(device), model_file(model), precision, table, memory_gb)
    return Model(model, str(device), None, precision, table, memory_gb)
