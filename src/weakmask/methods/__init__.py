"""A folder is a paper; its files are its stages. This table is what the command line, docs and tests read."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from weakmask.config import parse, read_yaml, with_overrides
from weakmask.errors import UserError


@dataclass(frozen=True)
class MethodCard:
    """Description of a method; its module is imported only when it is used.

    Attributes:
        title: In plain words.
        paper: The source.
        labels: The weak labels it learns from.
        module: Holds STAGES, the settings class and `conclude`.
        settings: Name of the settings class in the module.
    """

    title: str
    paper: str
    labels: str
    module: str
    settings: str


METHODS = {
    "dram": MethodCard(
        title="lesion masks from a severity score per region",
        paper="Xie et al. 2021, arXiv 2105.11748",
        labels="an interval of the lesion fraction per region (0-5 per lobe)",
        module="weakmask.methods.dram",
        settings="DramSettings",
    ),
    "cam": MethodCard(
        title="lesion masks from a yes or no per region, the baseline that dRAM is compared with",
        paper="Zhou et al. 2016; Xie et al. 2021, arXiv 2105.11748, section IV-C-2",
        labels="whether a region has lesions (a score above 0)",
        module="weakmask.methods.cam",
        settings="CamSettings",
    ),
    "supervised": MethodCard(
        title="lesion masks from true masks, the bound that weak labels are measured against",
        paper="the U-Net of Xie et al. 2021, arXiv 2105.11748",
        labels="true masks (truth/)",
        module="weakmask.methods.supervised",
        settings="SupervisedSettings",
    ),
    "lobes": MethodCard(
        title="the five lobes of the lungs, for methods that learn from scores per lobe",
        paper="Imran et al. 2019, arXiv 1902.06362",
        labels="lobe masks (regions/), or none: phantoms",
        module="weakmask.methods.lobes",
        settings="LobeSettings",
    ),
}


def load_config(path: Path, overrides: list[str] | None = None) -> tuple[ModuleType, Any]:
    """The method's module and the typed settings of a config file.

    Args:
        path: A YAML file with a key `method`.
        overrides: "a.b=c", each instead of what the file says.

    Raises:
        UserError: The file cannot be read, names no method of `METHODS`, or has settings that the method refuses.
    """
    values = with_overrides(read_yaml(path), overrides or [])
    name = values.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise UserError(f"{path}: method is {name!r}; expected one of {', '.join(METHODS)}")
    module = import_module(METHODS[name].module)
    return module, parse(getattr(module, METHODS[name].settings), values, str(path))
