"""The Python interface: load a model and segment, train a method, find lobes; `import weakmask as wm` offers all of it.

    model = wm.load("runs/demo", "cpu")
    found = model.segment("scan.nii.gz")                        # a file or a DICOM folder
    found = model.segment(hounsfield, spacing_mm=(1.25, 0.7, 0.7))    # an array (z, y, x)
    found.mask.voxels, found.table

The functions call the same code as the command line, so that both give the same masks and values.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from weakmask.config import Settings, plain_values, read_yaml
from weakmask.inference.image_forms import Image, as_volume
from weakmask.inference.trained_model import Model, load
from weakmask.methods import helped, method_settings
from weakmask.methods import train as train_method
from weakmask.regions.find_lobes import FoundLobes
from weakmask.regions.find_lobes import find_lobes as find_lobes_with
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.volume.files import refuse_nonfinite

__all__ = ["Model", "find_lobes", "load", "train"]


def train(config: str | Path | Mapping[str, Any] | Settings, out: str | Path, **overrides: Any) -> pd.DataFrame:
    """Train a method on a cohort and evaluate it; stopped at any moment, the same call continues.

    Args:
        config: A YAML file, the same as nested mappings, or settings of a method.
        out: The run folder to create or to continue.
        **overrides: Settings instead of the config's: a value, or some keys of a section, for example
            `device="cpu", data={"cohort": "cohort/"}`.

    Returns:
        The summary of the run: one row per method and baseline. Empty in a process that torchrun or srun started to
        help the first of several.

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
        values = plain_values(config) if isinstance(config, Settings) else config
        method, settings = method_settings(values, "config", changed)
    if helped(settings):
        return pd.DataFrame()
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
