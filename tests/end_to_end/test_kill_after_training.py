"""A run killed between the end of each training and the end of its stage computes no step twice."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from ball_cohort import write_ball_cohort

from weakmask.config import Settings
from weakmask.methods import METHODS
from weakmask.methods.cam import CamSettings
from weakmask.methods.dram import DramSettings
from weakmask.methods.dram.config import ContextSettings, MapSettings, VesselSettings
from weakmask.methods.lobes import LobeSettings
from weakmask.methods.lobes.config import DataSettings as LobeData
from weakmask.methods.lobes.config import FrameSettings, SegmentationSettings
from weakmask.methods.lobes.config import NetworkSettings as LobeNetwork
from weakmask.methods.supervised import SupervisedSettings
from weakmask.pipeline import Stage, run_stages
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings

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
    return LobeSettings(
        device="cpu",
        data=LobeData(phantoms=2, phantom_spacing_mm=6.0, validation=0.0),
        prepare=FrameSettings(shape=(16, 16, 24)),
        network=LobeNetwork(kernels=4, growth=(2, 2, 2), layers=(1, 1, 1), width=2),
        segmentation=SegmentationSettings(steps=3, batch=1, validate_every=2),
    )


TRAININGS = {  # stages up to the last training, and the modules that train
    "dram": (METHODS["dram"].stages[:6], ("dram.vessels", "dram.regression", "dram.context_training")),
    "cam": (METHODS["cam"].stages[:2], ("cam.classification",)),
    "supervised": (METHODS["supervised"].stages[:2], ("supervised.segmentation",)),
    "lobes": (METHODS["lobes"].stages[:2], ("lobes.segmentation",)),
}


@pytest.mark.parametrize("method", TRAININGS)
def test_no_step_is_computed_twice(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ball_cohort(tmp_path / "cohort", SCORES)
    config = settings(method, tmp_path / "cohort")
    stages, modules = TRAININGS[method]
    steps = counted_steps(monkeypatch)
    run_stages(stages, tmp_path / "unbroken", config)
    computed = len(steps)
    assert computed >= 3 * len(modules)
    for module in modules:
        run_until_trained(f"weakmask.methods.{module}", stages, tmp_path / "broken", config)
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
