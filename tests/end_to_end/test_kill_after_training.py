"""A run killed in every stage ends with the files of an unbroken run, and computes no finished training twice."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_cohort import write_ball_cohort
from coloured_pictures import write_picture_cohort
from safetensors.torch import load_file

from weakmask.config import Settings
from weakmask.methods import METHODS
from weakmask.methods.cam import CamSettings
from weakmask.methods.dram import DramSettings
from weakmask.methods.dram.config import ContextSettings, MapSettings, VesselSettings
from weakmask.methods.lobes import LobeSettings
from weakmask.methods.lobes.config import DataSettings as LobeData
from weakmask.methods.lobes.config import FrameSettings, SegmentationSettings
from weakmask.methods.lobes.config import NetworkSettings as LobeNetwork
from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.supervised import SupervisedSettings
from weakmask.methods.v_net import VNetSettings
from weakmask.methods.wsmis.config import (
    BoundarySettings,
    ClassificationSettings,
    WsmisSettings,
)
from weakmask.methods.wsmis.config import DataSettings as PictureData
from weakmask.methods.wsmis.config import MapSettings as PictureMaps
from weakmask.methods.wsmis.config import NetworkSettings as BackboneSettings
from weakmask.methods.wsmis.config import PrepareSettings as PictureSettings
from weakmask.methods.wsmis.config import SegmentationSettings as PictureTraining
from weakmask.phantoms.em_cohort import write_em_cohort
from weakmask.pipeline import Stage, Work, run_stages
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.volume.stack_files import open_stack

OF_BAGS = ("dual_task_mil", "decovnet", "ad3d_mil")
SCORES = {"healthy": {"LUL": 0, "LLL": 0}, "ill": {"LUL": 2, "LLL": 0}, "worse": {"LUL": 3, "LLL": 1}}


class Killed(Exception):  # noqa: N818 - nothing went wrong
    """What stops a run in this test."""


def settings(method: str, cohort: Path) -> Settings:
    shared = {
        "device": "cpu",
        "data": DataSettings(cohort=cohort, test=cohort, seen=True, validation=0.0),
        "prepare": PrepareSettings(spacing_mm=None, crop_shape=(16, 16, 16)),
    }
    training = TrainingSettings(steps=4, batch=2, checkpoint_every=2, average_decay=0.9)
    narrow = NetworkSettings(width=2)
    if method == "dram":
        return DramSettings(
            **shared,
            network=narrow,
            vessels=VesselSettings(steps=3),
            regression=training,
            maps=MapSettings(scales=(1.0,)),
            context=ContextSettings(spacing_mm=None, padding="same", window_voxels=16, width=2, steps=3, batch=1),
        )
    if method == "cam":
        return CamSettings(**shared, classification=training)
    if method == "supervised":
        return SupervisedSettings(**shared, network=narrow, segmentation=training)
    own = {"wsmis": with_rounds, "mitochondria": at_two_sizes, "v_net": framed}
    if method in own:
        return own[method](cohort)
    if method in OF_BAGS:
        return of_bags(method, cohort)
    return LobeSettings(
        device="cpu",
        data=LobeData(phantoms=2, phantom_spacing_mm=6.0, validation=0.0),
        prepare=FrameSettings(shape=(16, 16, 24)),
        network=LobeNetwork(kernels=4, growth=(2, 2, 2), layers=(1, 1, 1), width=2),
        segmentation=SegmentationSettings(steps=3, batch=1, validate_every=2),
    )


def with_rounds(cohort: Path) -> WsmisSettings:
    """WSMIS with all its trainings, the segmentation twice."""
    return WsmisSettings(
        device="cpu",
        data=PictureData(cohort=cohort, validation=0.5),
        prepare=PictureSettings(side=32),
        network=BackboneSettings(weights="none"),
        classification=ClassificationSettings(steps=3, batch=2, checkpoint_every=2),
        maps=PictureMaps(scales=(1.0,), mirror=False),
        boundary=BoundarySettings(train=True, steps=3, batch=2, checkpoint_every=2),
        segmentation=PictureTraining(steps=3, batch=2, widths=(4,), rounds=2, checkpoint_every=2),
    )


def framed(cohort: Path) -> VNetSettings:
    """V-Net on a small grid."""
    values = {
        "device": "cpu",
        "data": {"cohort": cohort, "validation": 0.34},
        "prepare": {"spacing_mm": None, "shape": [32, 16, 16]},
        "network": {"width": 2},
        "train": {"steps": 4, "batch": 1, "checkpoint_every": 2},
    }
    return VNetSettings.model_validate(values)


def at_two_sizes(cohort: Path) -> MitochondriaSettings:
    """Mitochondria with both of its trainings, and a denoising network for the training stacks and for all."""
    denoise = {"method": "interpolation", "width": 2, "patch": 16, "batch": 1, "steps": 3}
    values = {
        "device": "cpu",
        "data": {"cohort": cohort, "test": cohort, "seen": True, "validation": 0.34},
        "denoise_training": denoise,
        "denoise": denoise,
        "network": {"widths": [4, 4], "padding": "zeros"},
        "train": {"patch": [4, 16, 16], "steps": 4, "fine_patch": [4, 24, 24], "fine_steps": 3, "checkpoint_every": 2},
    }
    return MitochondriaSettings.model_validate(values)


def of_bags(method: str, cohort: Path) -> Settings:
    """A method that learns from yes or no, with all its trainings, those of dual-task MIL twice."""
    training = {"steps": 4, "batch": 2, "checkpoint_every": 2, "average_decay": 0.9}
    values = {
        "device": "cpu",
        "data": {"cohort": cohort, "test": cohort, "seen": True, "validation": 0.34},
        "prepare": {"spacing_mm": None, "crop_shape": (16, 16, 16)},
        "network": {"width": 2} if method == "dual_task_mil" else {"shrink": 8},
        "classification": training,
        **({"patches": training, "segmentation": training, "rounds": 2} if method == "dual_task_mil" else {}),
    }
    return METHODS[method].settings.model_validate(values)


def write_cohort(method: str, folder: Path) -> None:
    """What the method learns from: pictures, stacks, or balls with scores."""
    if method == "wsmis":
        write_picture_cohort(folder, 4, 0)
    elif method == "mitochondria":
        write_em_cohort(folder, 1, 0, (6, 64, 64), (30.0, 16.0, 16.0), "easy", workers=1)
    else:
        write_ball_cohort(folder, SCORES)


CLASSIFIER = "weakmask.region_learning.bag_classifier"
TRAININGS = {  # stages up to the last training, and the modules that train
    "dram": (METHODS["dram"].stages[:6], ("dram.vessels", "dram.regression", "dram.context_training")),
    "cam": (METHODS["cam"].stages[:2], ("cam.classification",)),
    "supervised": (METHODS["supervised"].stages[:2], ("supervised.segmentation",)),
    "lobes": (METHODS["lobes"].stages[:2], ("lobes.segmentation",)),
    "v_net": (METHODS["v_net"].stages[:2], ("v_net.training",)),
    "mitochondria": (METHODS["mitochondria"].stages[:3], ("mitochondria.training",)),
    "wsmis": (METHODS["wsmis"].stages[:6], ("wsmis.classification", "wsmis.boundary", "wsmis.segmentation")),
    "dual_task_mil": (
        METHODS["dual_task_mil"].stages[:6],
        (CLASSIFIER, "dual_task_mil.patches", "dual_task_mil.segmentation"),
    ),
    "decovnet": (METHODS["decovnet"].stages[:2], (CLASSIFIER,)),
    "ad3d_mil": (METHODS["ad3d_mil"].stages[:2], (CLASSIFIER,)),
}


@pytest.mark.parametrize("method", TRAININGS)
def test_no_step_is_computed_twice(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cohort(method, tmp_path / "cohort")
    config = settings(method, tmp_path / "cohort")
    stages, modules = TRAININGS[method]
    steps = counted_steps(monkeypatch)
    run_stages(stages, tmp_path / "unbroken", config)
    computed = len(steps)
    assert computed >= 3 * len(modules)
    for module in modules:
        whole = module if module in sys.modules else f"weakmask.methods.{module}"
        run_until_trained(whole, stages, tmp_path / "broken", config)
    run_stages(stages, tmp_path / "broken", config)
    assert len(steps) == 2 * computed
    written = sorted(file.relative_to(tmp_path / "unbroken") for file in (tmp_path / "unbroken").rglob("*.safetensors"))
    assert len(written) >= 2 * len(modules)
    for file in written:
        if file.name != "model.safetensors":  # its header has the time
            assert (tmp_path / "broken" / file).read_bytes() == (tmp_path / "unbroken" / file).read_bytes(), file


def counted_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by every step that any training computes."""
    steps: list[int] = []
    loop = sys.modules["weakmask.training.fit"]
    one_step = loop.one_step

    def counting(training: object, losses_of: object, batch: object, step: int) -> object:
        steps.append(step)
        return one_step(training, losses_of, batch, step)

    monkeypatch.setattr(loop, "one_step", counting)
    return steps


def run_until_trained(module: str, stages: Sequence[Stage], run: Path, config: Settings) -> None:
    """Run until the training of one module has written its last file, and be killed there."""
    fit = sys.modules[module].fit

    def killed(*arguments: object) -> None:
        fit(*arguments)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[module], "fit", killed)
        with pytest.raises(Killed):
            run_stages(stages, run, config)


@pytest.mark.parametrize("method", TRAININGS)
def test_killed_in_every_stage_it_leaves_the_same_files(method: str, tmp_path: Path) -> None:
    write_cohort(method, tmp_path / "cohort")
    config, stages = settings(method, tmp_path / "cohort"), METHODS[method].stages
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    run_stages(stages, unbroken, config)
    for number, stage in enumerate(stages):
        before = sorted(path.name for path in broken.glob("[0-9]*"))
        if stage.resumable:
            assert killed_at_step(2, stages, broken, config) == 1, stage.name
        with_kill = (*stages[:number], replace(stage, run=killed_at_its_end(stage)), *stages[number + 1 :])
        with pytest.raises(Killed):
            run_stages(with_kill, broken, config)
        assert sorted(path.name for path in broken.glob("[0-9]*")) == before
        run_stages(stages[: number + 1], broken, config)
    written = [file.relative_to(unbroken) for file in unbroken.glob("[0-9]*/**/*") if file.is_file()]
    assert {file.parts[0][3:] for file in written} == {stage.name for stage in stages}
    compared = [file for file in written if file.name != "stage.json" and "tb" not in file.parts]
    assert compared == [file for file in compared if (broken / file).exists()]
    for file in compared:
        assert same_content(unbroken / file, broken / file), file


def killed_at_its_end(stage: Stage) -> Callable[[Work], None]:
    """The stage's function under its own name, killed when everything is written but the folder is not complete."""

    @wraps(stage.run)
    def killed(work: Work) -> None:
        stage.run(work)
        raise Killed

    return killed


def killed_at_step(step: int, stages: Sequence[Stage], run: Path, config: Settings) -> int:
    """Run until a training is at a step, and be killed there; returns how often that happened."""
    loop = sys.modules["weakmask.training.fit"]
    one_step = loop.one_step

    def killed(training: object, losses_of: object, batch: object, now: int) -> object:
        if now == step:
            raise Killed
        return one_step(training, losses_of, batch, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "one_step", killed)
        try:
            run_stages(stages, run, config)
        except Killed:
            return 1
    return 0


def same_content(one: Path, other: Path) -> bool:
    """Whether two files are equal; of weights the tensors alone, as their header may have the time."""
    if one.suffix == ".tif":  # their headers have a number of their own
        return np.array_equal(open_stack(one)[:], open_stack(other)[:])
    if one.suffix != ".safetensors":
        return one.read_bytes() == other.read_bytes()
    weights, others = load_file(one), load_file(other)
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)
