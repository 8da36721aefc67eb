"""The Python interface: load a model and segment, train a method, find lobes; `import weakmask as wm` offers all of it.

    model = wm.load("runs/demo", "cpu")
    found = model.segment("scan.nii.gz")                        # a file or a DICOM folder
    found = model.segment(hounsfield, spacing_mm=(1.25, 0.7, 0.7))    # an array (z, y, x)
    found.mask.voxels, found.table

The functions call the same code as the command line, so that both give the same masks and values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from weakmask.config import Settings, read_yaml
from weakmask.errors import UserError
from weakmask.methods import load_segmenter, method_settings
from weakmask.methods import train as train_method
from weakmask.prediction import About, Limits, Precision, Prediction, Scan, Segmenter
from weakmask.regions.find_lobes import FoundLobes
from weakmask.regions.find_lobes import find_lobes as find_lobes_with
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.regions.scan_regions import RegionSource
from weakmask.regions.segment_scan import read_scan, segment_scan
from weakmask.volume.files import read_volume, refuse_nonfinite
from weakmask.volume.volume import Kind, Volume

Image = str | Path | Volume | np.ndarray


@dataclass(frozen=True)
class Model:
    """A trained model of any method; `load` makes one.

    Attributes:
        segmenter: The model itself.
        device: Where a lobe network computes if a scan brings no regions.
    """

    segmenter: Segmenter
    device: str = "auto"

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
        regions: Image | None = None,
        spacing_mm: Sequence[float] | None = None,
        region_names: str | Mapping[int, str] | None = None,
        name: str | None = None,
        *,
        series: str | None = None,
    ) -> Prediction:
        """Segment one image.

        Args:
            image: A file, a folder of DICOM files, a volume, or an array (z, y, x) or (y, x); a CT in Hounsfield
                units.
            regions: Region labels on the image's grid, in the same forms; also a folder of masks with the names of
                scans. None: lobes by a network where the model was trained on lobes, else the lungs by threshold.
            spacing_mm: Voxel size of an array along each axis, in mm; needed for an array, refused for the rest.
            region_names: Label -> name of the regions, or the tool that numbered the lobes ("totalsegmentator"). None:
                those of the training.
            name: Of the image, for messages. None: the name of its file, or "scan".
            series: UID of the DICOM series to read, for a folder with several.

        Returns:
            `mask`, `maps`, `regions` and `values` on the image's grid; `table` has one row per region.

        Raises:
            UserError: A file that cannot be read, an array without a spacing, a series without a DICOM folder, regions
                on another grid, or an image that does not fit the model.
        """
        if series is not None and not (isinstance(image, str | Path) and Path(image).is_dir()):
            raise UserError(f"series={series!r} is for a folder of DICOM files; leave it out, or give the folder")
        file = Path(image) if isinstance(image, str | Path) else Path(name or "scan")
        if isinstance(image, str | Path) and spacing_mm is None:
            scan = read_scan(file, name, series)  # with the colours of a picture
        else:
            scan = Scan(file.name, as_volume(image, spacing_mm))
        source = RegionSource(_masks(regions, scan.image), region_names)
        return segment_scan(self.segmenter, scan, file, source, self.device)[1]


def load(
    model: str | Path | Segmenter | Model,
    device: str | torch.device = "auto",
    memory_gb: float = 4.0,
    precision: Precision = "auto",
) -> Model:
    """Load a trained model.

    Args:
        model: A run folder of `train`, a model.safetensors file, or a segmenter that is loaded already.
        device: auto (a GPU if there is one), cpu, cuda, cuda:1 or mps, or a device of torch.
        memory_gb: Memory for feature maps of networks that take whole scans, in GB.
        precision: Number format of these maps: auto, float32, bfloat16 or float16.

    Raises:
        UserError: No such model, a run that is not finished, or a device that is not available.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str | Path):
        model = load_segmenter(model, device, Limits(memory_gb, precision))
    return Model(model, str(device))


def train(config: str | Path | Mapping[str, Any] | Settings, out: str | Path, **overrides: Any) -> pd.DataFrame:
    """Train a method on a cohort and evaluate it; stopped at any moment, the same call continues.

    Args:
        config: A YAML file, the same as nested mappings, or settings of a method.
        out: The run folder to create or to continue.
        **overrides: Settings instead of the config's: a value, or some keys of a section, for example
            `device="cpu", data={"cohort": "cohort/"}`.

    Returns:
        The summary of the run: one row per method and baseline.

    Raises:
        UserError: A setting that is unknown or out of range, a folder that cannot be written or holds another run, or
            data that do not suffice.
    """
    changed: dict[str, Any] = {}
    for key, value in overrides.items():
        changed |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, Mapping) else {key: value}
    if isinstance(config, str | Path):
        method, settings = method_settings(read_yaml(Path(config)), str(config), changed)
    else:
        values = config.model_dump() if isinstance(config, Settings) else config
        method, settings = method_settings(values, "config", changed)
    return train_method(method, settings, Path(out))


def find_lobes(
    image: Image,
    spacing_mm: Sequence[float] | None = None,
    model: str | Path | None = None,
    device: str | torch.device = "auto",
) -> FoundLobes:
    """Find the five lung lobes in a chest CT, as `weakmask lobes` does.

    Args:
        image: A file, a folder of DICOM files, a volume, or an array (z, y, x) in Hounsfield units.
        spacing_mm: Voxel size of an array along each axis, in mm.
        model: A model file or a run folder of a lobe network; None: the one that comes with the package.
        device: auto, cpu, cuda or mps, or a device of torch.

    Returns:
        `lobes` (LUL 1, LLL 2, RUL 3, RML 4, RLL 5) on the image's grid, and `faults`, empty if they look plausible.

    Raises:
        UserError: The image cannot be read or shows no lungs, or the model cannot be read.
    """
    volume = as_volume(image, spacing_mm)
    refuse_nonfinite(volume, image if isinstance(image, str | Path) else "scan")
    return find_lobes_with(load_lobe_model(model, device), volume)


def as_volume(image: Image, spacing_mm: Sequence[float] | None = None, kind: Kind = "image") -> Volume:
    """The volume of a file, a DICOM folder, an array or a volume.

    Args:
        image: A path, a volume, or an array (z, y, x) or (y, x).
        spacing_mm: Voxel size of an array along each axis, in mm.
        kind: "label" for masks.

    Raises:
        UserError: A file that cannot be read, an array without a spacing or of a wrong shape, or a spacing for an image
            that has one.
    """
    if isinstance(image, str | Path | Volume):
        if spacing_mm is not None:
            raise UserError("spacing_mm is for arrays; a file and a volume have their own spacing; leave it out")
        return image if isinstance(image, Volume) else read_volume(image, kind)
    if spacing_mm is None:
        raise UserError("an array has no voxel size; give spacing_mm=(z, y, x) in mm")
    try:
        return Volume.from_array(image, spacing_mm, kind)
    except ValueError as error:
        raise UserError(str(error)) from error


def _masks(regions: Image | None, image: Volume) -> Path | Volume | None:
    """Regions as a source takes them; an array lies on the grid of its image."""
    if regions is None or isinstance(regions, Volume):
        return regions
    if isinstance(regions, str | Path):
        return Path(regions)
    labels = np.asarray(regions)
    spacing = image.geometry.spacing_mm
    volume = as_volume(labels, spacing[-labels.ndim :], "label")
    if volume.voxels.shape != image.voxels.shape:
        raise UserError(
            f"the region mask has shape {volume.voxels.shape}; expected the image's {image.voxels.shape}: resample it"
        )
    return Volume(volume.voxels, image.geometry, "label")
