"""The verbs of the command line with small inputs, and what must hold after any fault while they write."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ball_cohort import write_ball_cohort
from ct_series import write_ct_series
from safetensors.torch import load_file
from write_faults import Kind

from weakmask.config import to_yaml
from weakmask.methods.dram import DramSettings
from weakmask.methods.dram.config import ContextSettings, MapSettings, RefinementSettings
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.volume.files import read_volume, write_volume

SCORES = {"healthy": {"LUL": 0, "LLL": 0}, "ill": {"LUL": 2, "LLL": 0}, "worse": {"LUL": 3, "LLL": 1}}
HERE = Path(__file__).parent
TIMED = {"stage.json", "manifest.json", "report.html", "predict.json", "lobes.json", "evaluate.json"}
TIMED |= {"scan.json", "to-dicom.json", "table2.csv"}  # all of them hold the time

ONCE = ("phantom", "export-nnunet")  # refuse to write over what is complete, as it is when the last rename was killed

VERBS: dict[str, tuple[str, ...]] = {
    "phantom": ("phantom", "OUT/made", "--scans", "2", "--size", "24", "26", "28", "--spacing", "12", "12", "12"),
    "train": ("train", "config.yaml", "--out", "OUT/run"),
    "predict": ("predict", "run", "cohort/images", "--regions", "cohort/regions", "--out", "OUT/masks"),
    "lobes": ("lobes", "phantoms/images", "--out", "OUT/lobes"),
    "evaluate": ("evaluate", "cohort/lesions", "cohort", "--out", "OUT/judged"),
    "report": ("report", "OUT/run"),
    "export-nnunet": ("export-nnunet", "cohort", "--out", "OUT/raw", "--dataset-id", "501", "--folds", "2"),
    "to-dicom": ("to-dicom", "OUT/masks", "--source", "series"),
    "view": ("view", "OUT/masks", "--no-open"),
    "demo": ("demo", "--out", "OUT/demo"),
    "reproduce": ("reproduce", "table2", "--rows", "nothing,raw", "--seeds", "1", "--jobs", "1", "--out", "OUT/table2"),
    "subtypes-table": ("subtypes-table", "subtypes", "--out", "OUT/table.csv"),
}
FOR_INPUTS = {
    "predict series": ("predict", "run", "series", "--regions", "cohort/regions/ill.nii.gz", "--out", "OUT/masks"),
}


def write_inputs(folder: Path) -> None:
    """The cohorts, the config and, trained by the caller, the run that the verbs read."""
    write_ball_cohort(folder / "cohort", SCORES)
    shutil.copytree(folder / "cohort", folder / "subtypes")
    for label, file in enumerate(sorted((folder / "subtypes" / "lesions").iterdir()), 1):
        lesions = read_volume(file, "label")
        write_volume(lesions.with_voxels(lesions.voxels * np.uint8(label)), file)
    write_phantom_cohort(folder / "phantoms", 1, 0, (44, 48, 48), (7.0, 7.0, 7.0), workers=1)
    scan = read_volume(folder / "cohort" / "images" / "ill.nii.gz")
    write_ct_series(folder / "series", scan)
    data = DataSettings(cohort=folder / "cohort", test=folder / "cohort", seen=True, validation=0.0)
    settings = DramSettings(
        device="cpu",
        data=data,
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(16, 16, 16)),
        network=NetworkSettings(width=2),
        refinement=RefinementSettings(weight=0.0),
        regression=TrainingSettings(steps=4, batch=2, checkpoint_every=2, average_decay=0.9),
        maps=MapSettings(scales=(1.0,)),
        context=ContextSettings(train=False),
    )
    (folder / "config.yaml").write_text(to_yaml(settings), encoding="utf-8")


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (minus a signal), lines, operations that wrote."""

    code: int
    lines: list[str]
    done: list[str]


class Commands:
    """The server of commands, started once."""

    def __init__(self, process: "subprocess.Popen[str]", inputs: Path) -> None:
        self.process, self.inputs = process, inputs

    def run(self, verb: str, out: Path, position: int = 0, kind: Kind = "none") -> Ended:
        """Run a verb with a fault."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        arguments = [word.replace("OUT", str(out)) for word in (VERBS | FOR_INPUTS)[verb]]
        command: dict[str, Any] = {"arguments": arguments, "folder": str(self.inputs), "below": str(out)}
        self.process.stdin.write(json.dumps(command | {"position": position, "kind": kind}) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))

    def prepared(self, verb: str, out: Path) -> Path:
        """An empty output folder, or the one that the verb works on."""
        out.mkdir(parents=True)
        if verb == "report":
            shutil.copytree(self.inputs / "run", out / "run")
        if verb in {"to-dicom", "view"}:
            shutil.copytree(self.inputs / "masks", out / "masks")
        return out


@contextmanager
def serving(inputs: Path) -> Iterator[Commands]:
    """Start the server; the inputs are made, the run is trained, and a series is segmented."""
    server = [sys.executable, str(HERE / "command_server.py")]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        commands = Commands(process, inputs)
        trained = commands.run("train", inputs)
        assert trained.code == 0, trained.lines
        segmented = commands.run("predict series", inputs)
        assert segmented.code == 0, segmented.lines
        yield commands
        assert process.stdin is not None
        process.stdin.close()


def results(out: Path) -> dict[str, Path]:
    """The files of an output folder by their path in it, without those that are not finished or hold the time."""
    files = {file.relative_to(out): file for file in sorted(out.rglob("*")) if file.is_file()}
    return {
        str(path): file
        for path, file in files.items()
        if file.name not in TIMED and "tb" not in path.parts and not any(part.startswith(".") for part in path.parts)
    }


def same_content(one: Path, other: Path, folders: tuple[Path, Path]) -> bool:
    """Whether two files of two output folders are equal; of a model the tensors alone, as its header has the time.

    A config names the cohorts that a table has made in its output folder; that folder's own name does not count.
    """
    if one.name != "model.safetensors":
        contents = (one.read_bytes(), other.read_bytes())
        here, there = (
            content.replace(str(folder).encode(), b"OUT") for content, folder in zip(contents, folders, strict=True)
        )
        return here == there
    weights, others = load_file(one), load_file(other)
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def check_fault(commands: Commands, verb: str, fault: tuple[int, Kind], unbroken: Path, out: Path) -> None:
    """Run a verb with a fault, and the same command again; both leave what they must.

    Args:
        commands: The server.
        verb: Key of `VERBS`.
        fault: Position and kind.
        unbroken: The output folder of the verb without a fault.
        out: The output folder to use.
    """
    position, kind = fault
    commands.prepared(verb, out)
    expected = results(unbroken)
    ended = commands.run(verb, out, position, kind)
    where = f"{verb}: {kind} at {position}, exit code {ended.code}, lines {ended.lines}"
    errors = [line for line in ended.lines if line.startswith("error ")]
    if kind == "kill":
        assert ended.code == -9, where
    elif ended.code == 0:  # what failed was not needed: then nothing is missing
        assert results(out).keys() == expected.keys(), where
    else:
        assert (ended.code, len(errors)) == (2, 1), where
        assert not any("Traceback" in line for line in ended.lines), where
    assert not any("left out" in line for line in ended.lines), f"{where}: a scan is lost"
    half = [
        name
        for name, file in results(out).items()
        if name not in expected or not same_content(expected[name], file, (unbroken, out))
    ]
    assert not half, f"{where}: {half} are half-written"
    again = commands.run(verb, out)
    refuses = verb in ONCE and results(out).keys() == expected.keys()
    assert again.code == 0 or refuses, f"{where}: then {again.lines}"
    assert results(out).keys() == expected.keys(), f"{where}: then {again.lines}"
    differing = [name for name, file in results(out).items() if not same_content(expected[name], file, (unbroken, out))]
    assert not differing, f"{where}: the same command again makes other {differing}"
    litter = [str(file) for file in out.rglob(".*")]
    assert not litter, f"{where}: {litter} stay"
