"""Commands that cannot be carried out: one clean line, exit code 2, and nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from malformed_files import a_directory, cohort, image_file, written

Run = Callable[..., tuple[int, list[str]]]
Make = Callable[[Path], list[str]]

# what is wrong -> arguments, and a word that the line must hold
COMMANDS: dict[str, tuple[Make, str]] = {
    "config with an unknown key": (
        lambda t: [
            "train",
            str(written(t / "c.yaml", b"method: dram\ndata: {cohort: x}\nregresion: {}")),
            "-o",
            str(t / "r"),
        ],
        "did you mean regression?",
    ),
    "config of a wrong type": (
        lambda t: ["show", str(written(t / "c.yaml", b"method: dram\ndata: {cohort: x}\nseed: yes please"))],
        "seed",
    ),
    "config that is no YAML": (lambda t: ["show", str(written(t / "c.yaml", b"a: ["))], "YAML"),
    "config that is binary": (lambda t: ["show", str(written(t / "c.yaml", b"\xff\x81\x00"))], "text"),
    "config of no method": (lambda t: ["show", str(written(t / "c.yaml", b"method: magic"))], "magic"),
    "config that is absent": (lambda t: ["show", str(t / "c.yaml")], "no such config"),
    "a setting without a value": (
        lambda t: ["show", str(written(t / "c.yaml", b"method: dram\ndata: {cohort: x}")), "--set", "seed"],
        "KEY=VALUE",
    ),
    "a flag that a table has no use for": (
        lambda t: ["reproduce", "lobes", "-o", str(t / "o"), "--seed", "7"],
        "lobes takes no --seed; it takes --rows, --seeds, --preset, --jobs, --ray; leave it out",
    ),
    "a model that is text": (
        lambda t: [
            "predict",
            str(written(t / "m.safetensors", b"hello")),
            str(image_file(t / "s.nii")),
            "-o",
            str(t / "o"),
        ],
        "m.safetensors",
    ),
    "a model that is absent": (
        lambda t: ["predict", str(t / "m.safetensors"), str(image_file(t / "s.nii")), "-o", str(t / "o")],
        "no such model",
    ),
    "regions that are absent": (
        lambda t: [
            "predict",
            str(written(t / "m.safetensors", b"hello")),
            str(image_file(t / "s.nii")),
            "--regions",
            str(t / "lobes.nii.gz"),
            "-o",
            str(t / "o"),
        ],
        "lobes.nii.gz: no such region mask",
    ),
    "a numbering that is unknown": (
        lambda t: [
            "predict",
            str(written(t / "m.safetensors", b"hello")),
            str(image_file(t / "s.nii")),
            "--numbering",
            "lungmsk",
            "-o",
            str(t / "o"),
        ],
        "lungmask",
    ),
    "a device that is unknown": (
        lambda t: [
            "predict",
            str(written(t / "m.safetensors", b"hello")),
            str(image_file(t / "s.nii")),
            "--device",
            "gpu",
            "-o",
            str(t / "o"),
        ],
        "device gpu is not available on this machine",
    ),
    "lobes on a device that is unknown": (
        lambda t: ["lobes", str(image_file(t / "s.nii")), "--device", "gpu", "-o", str(t / "o")],
        "device gpu is not available on this machine",
    ),
    "a folder that is no run": (
        lambda t: [
            "predict",
            str(a_directory(t / "run", "notes.txt")),
            str(image_file(t / "s.nii")),
            "-o",
            str(t / "o"),
        ],
        "expected a run folder",
    ),
    "a report of no run": (lambda t: ["report", str(a_directory(t / "run"))], "manifest.json"),
    "phantoms over somebody's folder": (
        lambda t: ["phantom", str(a_directory(t / "thesis", "chapter1.tex")), "--scans", "1"],
        "thesis",
    ),
    "phantoms where nothing can be written": (
        lambda t: ["phantom", str(written(t / "file", b"") / "cohort"), "--scans", "1"],
        "cannot write",
    ),
    "masks of other scans": (
        lambda t: ["evaluate", str(a_directory(t / "masks")), str(cohort(t / "cohort")), "-o", str(t / "o")],
        "s0",
    ),
}


@pytest.mark.parametrize("fault", COMMANDS)
def test_a_faulty_command(fault: str, tmp_path: Path, weakmask: Run) -> None:
    make, word = COMMANDS[fault]
    arguments = make(tmp_path)
    before = set(tmp_path.rglob("*"))
    code, lines = weakmask(*arguments)
    assert code == 2
    errors = [line for line in lines if line.startswith("error ")]
    assert len(errors) == 1, lines
    assert word.lower() in errors[0].lower(), lines
    assert set(tmp_path.rglob("*")) == before, "nothing half-written"
