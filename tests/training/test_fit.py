"""The loop: what it leaves, what it repeats exactly, and where it stops."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from weakmask.errors import MachineError, UserError
from weakmask.training.checkpoints import load_weights
from weakmask.training.fit import Plan, fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import generator_for

FILES = {"best.safetensors", "last.safetensors", "curves.csv", "tb"}


class StopTraining(Exception):  # noqa: N818 - nothing went wrong
    """What kills a training in a test."""


def line(*, dropout: float = 0.0, norm: bool = False) -> nn.Sequential:
    """A small network for y = sum of x."""
    torch.manual_seed(0)
    middle = nn.BatchNorm1d(8) if norm else nn.Identity()
    return nn.Sequential(nn.Linear(4, 8), middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1))


def batch_at(step: int) -> dict[str, Tensor]:
    x = torch.rand(8, 4, generator=generator_for(1, step))
    return {"x": x, "y": x.sum(dim=1)}


def losses_of(network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
    error = (network(batch["x"])[:, 0] - batch["y"]).square().mean()
    return {"error": error, "total": 2 * error}


def validate(network: nn.Module, step: int) -> dict[str, float]:
    assert not network.training
    assert not torch.is_grad_enabled()
    held_out = batch_at(10**6)
    return {"score": -float(losses_of(network, held_out, step)["error"])}


def run(folder: Path, network: nn.Module | None = None, batches=batch_at, check=validate, **plan: Any) -> pd.DataFrame:
    network = line() if network is None else network
    settings = {
        "steps": 40,
        "validate_every": 10,
        "checkpoint_every": 7,
        "device": "cpu",
        "precision": "32-true",
    } | plan
    name = settings.pop("optimiser", "adam")
    optimiser = build_optimiser(network.parameters(), name, settings.pop("learning_rate", 1e-2))
    return fit(network, optimiser, batches, losses_of, check, folder, Plan(**settings))


def same_results(a: Path, b: Path) -> bool:
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in FILES - {"tb"})


def test_leaves_the_promised_files_and_learns(tmp_path: Path):
    network = line()
    curves = run(tmp_path, network, steps=300, validate_every=50, header={"network": "line"})
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert list((tmp_path / "tb").glob("events*"))
    assert curves["step"].tolist() == [50, 100, 150, 200, 250, 300]
    assert curves["score"].iloc[-1] > -0.1
    assert curves["total"].iloc[-1] < 0.05 * curves["total"].iloc[0]
    assert curves["total"].tolist() == pytest.approx((2 * curves["error"]).tolist())
    pd.testing.assert_frame_equal(curves, pd.read_csv(tmp_path / "curves.csv"))
    state, header = load_weights(tmp_path / "last.safetensors")
    assert header["network"] == "line"
    assert header["training"]["step"] == 300
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


def test_rows_are_means_since_the_row_before(tmp_path: Path):
    single = run(tmp_path / "each", validate_every=1, steps=12)
    grouped = run(tmp_path / "grouped", validate_every=5, steps=12)
    assert grouped["step"].tolist() == [5, 10, 12]
    means = [single["error"][start:stop].mean() for start, stop in ((0, 5), (5, 10), (10, 12))]
    assert grouped["error"].tolist() == pytest.approx(means)


def test_best_is_the_highest_score_and_the_earlier_of_equals(tmp_path: Path):
    scores = {10: 1.0, 20: 3.0, 30: 3.0, 40: 2.0}
    network, seen = line(), {}

    def check(_: nn.Module, step: int) -> dict[str, float]:
        seen[step] = {name: value.clone() for name, value in network.state_dict().items()}
        return {"score": scores[step]}

    run(tmp_path, network, check=check)
    state, header = load_weights(tmp_path / "best.safetensors")
    assert header["training"]["step"] == 20
    assert header["training"]["best_score"] == 3.0
    assert all(torch.equal(state[name], value) for name, value in seen[20].items())


@pytest.mark.parametrize("check", [None, lambda network, step: None, lambda network, step: {"dice": 1.0}])
def test_without_a_score_the_best_is_the_last(tmp_path: Path, check):
    run(tmp_path, check=check)
    best, last = (load_weights(tmp_path / f"{name}.safetensors")[0] for name in ("best", "last"))
    assert all(torch.equal(best[name], last[name]) for name in last)


def test_a_score_that_is_no_number_is_never_best(tmp_path: Path):
    run(tmp_path, check=lambda network, step: {"score": math.nan if step != 20 else -5.0})
    assert load_weights(tmp_path / "best.safetensors")[1]["training"]["step"] == 20


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"optimiser": "sgd", "schedule": "cosine", "warm_up": 5},
        {"average_decay": 0.9, "clip_gradient": 0.5, "schedule": "poly"},
        {"accumulate": 3, "prefetch": False},
        {"precision": "bf16-mixed"},
    ],
)
def test_stopped_again_and_again_it_ends_as_if_never_stopped(tmp_path: Path, plan: dict[str, Any]):
    run(tmp_path / "unbroken", line(dropout=0.3, norm=True), **plan)
    stops = sorted(torch.randint(0, 40, (5,), generator=torch.Generator().manual_seed(len(str(plan)))).tolist())
    for stop in stops:

        def stopping(step: int, stop: int = stop) -> dict[str, Tensor]:
            if step == stop:
                raise StopTraining
            return batch_at(step)

        with pytest.raises(StopTraining):
            run(tmp_path / "broken", line(dropout=0.3, norm=True), batches=stopping, **plan)
        torch.manual_seed(stop)  # what happens in between does not matter
    curves = run(tmp_path / "broken", line(dropout=0.3, norm=True), **plan)
    assert same_results(tmp_path / "unbroken", tmp_path / "broken")
    assert curves["step"].tolist() == [10, 20, 30, 40]


def test_the_global_random_state_before_does_not_matter(tmp_path: Path):
    for name in ("a", "b"):
        network = line(dropout=0.5)
        torch.manual_seed(ord(name))
        run(tmp_path / name, network)
    assert same_results(tmp_path / "a", tmp_path / "b")


def test_another_seed_is_another_training(tmp_path: Path):
    tables = [run(tmp_path / str(seed), line(dropout=0.5), seed=seed) for seed in (0, 1)]
    assert not tables[0]["total"].equals(tables[1]["total"])


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_accumulated_parts_are_the_whole_batch(tmp_path: Path, parts: int):
    whole, cut = line(), line()
    once = run(tmp_path / "whole", whole, clip_gradient=1.0)
    several = run(tmp_path / "cut", cut, clip_gradient=1.0, accumulate=parts)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert several["total"].tolist() == pytest.approx(once["total"].tolist(), rel=1e-4)


def test_more_parts_than_samples_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="8 samples cannot be cut into 9"):
        run(tmp_path, accumulate=9)


def test_a_loss_that_is_not_finite_stops_and_the_checkpoint_stays_good(tmp_path: Path):
    def poisoned(step: int) -> dict[str, Tensor]:
        batch = batch_at(step)
        return {**batch, "y": batch["y"] * math.nan} if step == 17 else batch

    with pytest.raises(UserError, match=r"step 17: a loss is not finite \(error nan, total nan\)") as told:
        run(tmp_path / "run", batches=poisoned)
    assert "\n" not in str(told.value)
    run(tmp_path / "run")  # goes on from step 14 with clean batches
    run(tmp_path / "clean")
    assert same_results(tmp_path / "run", tmp_path / "clean")


@pytest.mark.parametrize("step", [13, 39])
def test_no_checkpoint_and_no_best_of_broken_weights(tmp_path: Path, step: int):
    """The losses of a step are read late; they must be read before a checkpoint or a validation."""

    def poisoned(at: int) -> dict[str, Tensor]:
        batch = batch_at(at)
        return {**batch, "y": batch["y"] * math.inf} if at == step else batch

    with pytest.raises(UserError, match=f"step {step}"):
        run(tmp_path, batches=poisoned)
    files = [path for path in tmp_path.glob("*.safetensors") if path.name != "checkpoint.safetensors"]
    assert all(value.isfinite().all() for file in files for value in load_weights(file)[0].values())
    assert not (tmp_path / "last.safetensors").exists()


def test_another_plan_does_not_go_on(tmp_path: Path):
    def stopping(step: int) -> dict[str, Tensor]:
        if step == 20:
            raise StopTraining
        return batch_at(step)

    with pytest.raises(StopTraining):
        run(tmp_path, batches=stopping)
    with pytest.raises(UserError, match=r"another plan \(seed 0 -> 5, warm_up 0 -> 3\)"):
        run(tmp_path, seed=5, warm_up=3)
    assert len(run(tmp_path, checkpoint_every=3)) == 4


def test_checkpoints_by_the_clock(tmp_path: Path):
    def stopping(step: int) -> dict[str, Tensor]:
        if step == 20:
            raise StopTraining
        return batch_at(step)

    with pytest.raises(StopTraining):
        run(tmp_path, batches=stopping, checkpoint_every=1000, checkpoint_every_seconds=1e-9)
    assert (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("plan", [{}, {"average_decay": 0.9, "schedule": "cosine"}])
def test_killed_after_its_last_write_it_computes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any]
):
    """The kill comes when the weights are written and the checkpoint is about to be removed."""
    unbroken = line()
    expected = run(tmp_path / "unbroken", unbroken, **plan)

    unlink = Path.unlink

    def killed(path: Path, **options: bool) -> None:
        if path.name == "checkpoint.safetensors":
            raise StopTraining
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(StopTraining):
            run(tmp_path / "broken", **plan)
    assert (tmp_path / "broken" / "checkpoint.safetensors").exists()

    def no_step(step: int) -> dict[str, Tensor]:
        raise AssertionError(f"step {step} was computed again")

    for _ in range(2):
        network = line()
        curves = run(tmp_path / "broken", network, batches=no_step, **plan)
        pd.testing.assert_frame_equal(curves, expected)
        assert same_results(tmp_path / "unbroken", tmp_path / "broken")
        assert {path.name for path in (tmp_path / "broken").iterdir()} == FILES
        for ours, theirs in zip(network.parameters(), unbroken.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_finished_weights_of_another_plan_are_no_excuse(tmp_path: Path):
    run(tmp_path, header={"network": "line"})
    for other in ({"steps": 20, "header": {"network": "line"}}, {"steps": 20, "header": {"network": "curve"}}):
        assert run(tmp_path, **other)["step"].tolist() == [10, 20]
        assert load_weights(tmp_path / "last.safetensors")[1]["network"] == other["header"]["network"]


def test_litter_of_a_killed_run_is_swept_away(tmp_path: Path):
    for name in (".123.checkpoint.safetensors", ".77.curves.csv"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".keep").write_text("mine")
    run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {".keep"}


def test_learning_rates_follow_the_schedule_for_every_group(tmp_path: Path):
    network, rates = line(), []
    groups = [{"params": network[0].parameters(), "lr": 0.1}, {"params": network[4].parameters(), "lr": 0.01}]
    optimiser = torch.optim.SGD(groups)

    def watched(net: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        rates.append([group["lr"] for group in optimiser.param_groups])
        return losses_of(net, batch, step)

    plan = Plan(4, schedule="cosine", device="cpu", precision="32-true")
    curves = fit(network, optimiser, batch_at, watched, None, tmp_path, plan)
    factors = [1, 0.5 + 8**-0.5, 0.5, 0.5 - 8**-0.5]
    assert [rate for pair in rates for rate in pair] == pytest.approx([f * r for f in factors for r in (0.1, 0.01)])
    assert curves["learning_rate"].item() == pytest.approx(0.1 * factors[-1])


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        run(tmp_path / "file" / "run")
