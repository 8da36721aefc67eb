"""Several processes share a training: the result of one, a part of the batch each, and clean refusals."""

import re
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from shared_line import Batches, train
from torch import nn

from weakmask.errors import MachineError, UserError
from weakmask.training import ranks
from weakmask.training.batches import SHARE, part_of_rank, samples_of
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import Spread, refuse_missing, refuse_own_statistics
from weakmask.training.places import launched_place

CLOSE = 1e-5


def largest_difference(a: Path, b: Path) -> float:
    (ours, _), (others, _) = load_weights(a), load_weights(b)
    assert ours.keys() == others.keys()
    return max(float((ours[name] - others[name]).abs().max()) for name in ours)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes import what this one hands over to them."""
    source = Path(ranks.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{source}:{Path(__file__).parent}")


def test_two_processes_end_with_the_weights_of_one(tmp_path: Path, importable: None):
    alone = train(tmp_path / "one", 1, Batches())
    shared = train(tmp_path / "two", 2, Batches())
    assert largest_difference(tmp_path / "one/last.safetensors", tmp_path / "two/last.safetensors") < CLOSE
    assert largest_difference(tmp_path / "one/best.safetensors", tmp_path / "two/best.safetensors") < CLOSE
    assert shared[alone.columns].to_numpy() == pytest.approx(alone.to_numpy(), abs=CLOSE)
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
    assert load_weights(tmp_path / "two/last.safetensors")[1]["training"]["processes"] == 2
    assert not torch.distributed.is_initialized()


def test_a_rank_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranks.sys, "executable", "/bin/false")
    with pytest.raises(MachineError, match=r"rank 1 of 2 has ended \(exit code 1\) before the training began"):
        train(tmp_path / "two", 2, Batches())


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_the_parts_of_the_ranks_are_the_batch(processes: int):
    batch = Batches()(0)
    parts = [part_of_rank(batch, rank, processes) for rank in range(processes)]
    assert sum(float(part.get(SHARE, 1.0)) for part in parts) == pytest.approx(1)
    for name, whole in batch.items():
        assert torch.equal(torch.cat([samples_of(part)[name] for part in parts]), whole)


def test_more_ranks_than_samples_are_one_line():
    with pytest.raises(UserError, match=r"a batch of 5 samples cannot be shared by 6 processes; set a batch of"):
        part_of_rank(Batches()(0), 0, 6)


def test_batch_norm_that_learns_is_refused_on_a_cpu():
    with pytest.raises(UserError, match=r"batch norm.*set training\.devices to 1"):
        refuse_own_statistics(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), "cpu")
    refuse_own_statistics(nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2)), "cpu")


def test_missing_devices_are_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert refuse_missing(Spread(2), "cuda") == "cuda"
    with pytest.raises(UserError, match=r"training\.devices is 4, and this machine has 2 of cuda; set 2"):
        refuse_missing(Spread(4), "cuda")


def test_several_nodes_need_a_launcher(tmp_path: Path):
    with (
        pytest.raises(UserError, match=r"training\.nodes is 2.*by torchrun or srun"),
        ranks.leading(Spread(1, 2), "cpu"),
    ):
        pass


def started_by_torchrun(monkeypatch: pytest.MonkeyPatch, rank: int, processes: int) -> None:
    given = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": processes}
    given |= {"MASTER_ADDR": "node-1", "MASTER_PORT": 29500, "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(TorchElasticEnvironment, "detect", staticmethod(lambda: True))


def test_the_place_that_torchrun_gives(monkeypatch: pytest.MonkeyPatch):
    assert launched_place(Spread(2)) is None
    started_by_torchrun(monkeypatch, rank=1, processes=2)
    place = launched_place(Spread(2))
    assert place is not None
    assert (place.rank, place.processes, place.address, place.port, place.hosted) == (1, 2, "node-1", 29500, True)


def test_another_number_of_processes_than_the_settings_say_is_one_line(monkeypatch: pytest.MonkeyPatch):
    started_by_torchrun(monkeypatch, rank=0, processes=4)
    words = "4 processes were started for 1 devices on each of 1 nodes; set training.devices"
    with pytest.raises(UserError, match=re.escape(words)):
        launched_place(Spread())
