"""Papers: a folder is a paper, and its files are its stages.

`METHODS` is the only list of them: the command line, the documentation and the tests read it.
"""

import shutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from weakmask.atomic_write import atomic_file
from weakmask.config import Settings, parse, read_yaml, with_overrides, with_values
from weakmask.errors import UserError
from weakmask.methods.method import Method
from weakmask.outgoing_text import cut
from weakmask.pipeline import Run, run_stages, spread_of, stage_folder
from weakmask.prediction import Limits, Segmenter
from weakmask.report.page import write_report
from weakmask.training.checkpoints import MODEL, load_weights
from weakmask.training.devices import device_of
from weakmask.training.following import follow
from weakmask.training.places import launched_place
from weakmask.training.ranks import dismissing

NAMES = (
    "dram",
    "cam",
    "supervised",
    "lobes",
    "wsmis",
    "mitochondria",
    "v_net",
    "dual_task_mil",
    "decovnet",
    "ad3d_mil",
)


class _Methods(Mapping[str, Method]):
    """Name -> record; a method is imported only when it is asked for."""

    def __getitem__(self, name: str) -> Method:
        if name not in NAMES:
            raise KeyError(name)
        return import_module(f"weakmask.methods.{name}").METHOD

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


METHODS = _Methods()


def load_config(path: Path, overrides: list[str] | None = None) -> tuple[Method, Settings]:
    """The method and the typed settings of a config file.

    Args:
        path: A YAML file with a key `method`.
        overrides: "a.b=c", each instead of what the file says.

    Raises:
        UserError: The file cannot be read, names no method of `METHODS`, or has settings that the method refuses.
    """
    return method_settings(with_overrides(read_yaml(path), overrides or []), str(path))


def method_settings(
    values: Mapping[str, Any], source: str, changed: Mapping[str, Any] | None = None
) -> tuple[Method, Settings]:
    """The method and the typed settings of plain values.

    Args:
        values: Nested mappings as in a config file, with a key `method`.
        source: Where they come from, for the error line.
        changed: Key, or "section.key" -> another value.

    Raises:
        UserError: The values name no method of `METHODS`, or have settings that the method refuses.
    """
    complete = with_values(values, changed or {})
    name = complete.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise UserError(f"{source}: method is {name!r}; expected one of {', '.join(METHODS)}")
    return METHODS[name], parse(METHODS[name].settings, complete, source)


def helped(settings: Settings) -> bool:
    """Whether torchrun or srun started this process to help the first of several; then it has helped, to the end.

    Args:
        settings: Of the run.

    Raises:
        UserError: Another number of processes was started than the settings ask for.
        MachineError: The first process has ended before the run.
    """
    place = launched_place(spread_of(settings))
    if place is None or place.rank == 0:
        return False
    follow(place)
    return True


def train(method: Method, settings: Settings, run: Path) -> pd.DataFrame:
    """Run the stages that are not complete yet, write tables and report.html, and return the summary.

    Of several processes that torchrun or srun started, only the first calls this: see `helped`.

    Raises:
        UserError: The folder holds another run, or the data does not do.
        MachineError: The folder cannot be written, or a stage has not enough memory.
    """
    with dismissing(launched_place(spread_of(settings))):
        run_stages(method.stages, run, settings)
    return write_run_report(method, settings, run)


def write_run_report(method: Method, settings: Settings, run: Path) -> pd.DataFrame:
    """Copy the tables of the evaluation to the run's root, write report.html, and return the summary.

    Raises:
        UserError: The run is not finished.
    """
    for table in sorted(stage_folder(run, "evaluation").glob("*.csv")):
        with atomic_file(run / table.name) as temporary:
            shutil.copyfile(table, temporary)
    page = method.report(Run(run, settings))
    write_report(run / "report.html", page)
    return pd.DataFrame() if page.table is None else page.table


def model_file(path: str | Path) -> Path:
    """The model file of a run folder, or the path itself.

    Args:
        path: A run folder, or a model file.

    Raises:
        UserError: Nothing there, or a run that is not finished.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such model; expected a run folder or a .safetensors file")
    if path.is_file():
        return path
    if not (path / "config.yaml").exists():
        raise UserError(f"{path}: holds no config.yaml; expected a run folder made by `weakmask train`")
    method, settings = load_config(path / "config.yaml")
    return stage_folder(path, method.model_stage(settings)) / MODEL


def load_segmenter(path: str | Path, device: str | torch.device = "auto", limits: Limits | None = None) -> Segmenter:
    """The model of a run folder or a model file, of any method.

    Args:
        path: A run folder, or a model file.
        device: Where to compute: auto, cpu, cuda, cuda:1 or mps, or a device of torch.
        limits: Memory and precision of networks that segment whole scans; None: the defaults.

    Raises:
        UserError: No such model, a run that is not finished, or a model of a method that `predict` does not take.
    """
    file = model_file(path)
    name = load_weights(file)[1].get("method") or "nameless"
    able = [known for known in METHODS if METHODS[known].load is not None]
    load = METHODS[name].load if isinstance(name, str) and name in able else None
    if load is None:
        raise UserError(f"{file}: a {cut(str(name))} model; expected one of {', '.join(able)}")
    return load(file, device_of(device), limits or Limits())
