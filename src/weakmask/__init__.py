"""Segmentation networks from the weak labels that radiologists already write down.

    import weakmask as wm

    model = wm.load("runs/demo")
    found = model.segment(hounsfield, spacing_mm=(1.25, 0.7, 0.7))
    print(found.table)

The names below are imported when they are first used, so that `import weakmask` itself takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = (
    "activation",
    "anatomy",
    "datasets",
    "evaluation",
    "losses",
    "networks",
    "phantoms",
    "refinement",
    "scoring",
    "volume",
)
_HOME = {
    "METHODS": "weakmask.methods",
    "MachineError": "weakmask.errors",
    "Model": "weakmask.inference.trained_model",
    "Prediction": "weakmask.prediction",
    "Result": "weakmask.inference.result",
    "Geometry": "weakmask.volume.geometry",
    "UserError": "weakmask.errors",
    "Volume": "weakmask.volume.volume",
    "find_lobes": "weakmask.api",
    "load": "weakmask.inference.trained_model",
    "read_cohort": "weakmask.datasets.cohort",
    "read_volume": "weakmask.volume.files",
    "train": "weakmask.api",
    "write_volume": "weakmask.volume.files",
}

if TYPE_CHECKING:
    from weakmask import (
        activation,
        anatomy,
        datasets,
        evaluation,
        losses,
        networks,
        phantoms,
        refinement,
        scoring,
        volume,
    )
    from weakmask.api import find_lobes, train
    from weakmask.datasets.cohort import read_cohort
    from weakmask.errors import MachineError, UserError
    from weakmask.inference.result import Result
    from weakmask.inference.trained_model import Model, load
    from weakmask.methods import METHODS
    from weakmask.prediction import Prediction
    from weakmask.volume.files import read_volume, write_volume
    from weakmask.volume.geometry import Geometry
    from weakmask.volume.volume import Volume

__all__ = [
    "METHODS",
    "Geometry",
    "MachineError",
    "Model",
    "Prediction",
    "Result",
    "UserError",
    "Volume",
    "activation",
    "anatomy",
    "datasets",
    "evaluation",
    "find_lobes",
    "load",
    "losses",
    "networks",
    "phantoms",
    "read_cohort",
    "read_volume",
    "refinement",
    "scoring",
    "train",
    "volume",
    "write_volume",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used.

    Raises:
        AttributeError: No such name.
    """
    if name in _ROOMS:
        return import_module(f"weakmask.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'weakmask' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for completion in editors and shells."""
    return sorted([*globals(), *__all__])
