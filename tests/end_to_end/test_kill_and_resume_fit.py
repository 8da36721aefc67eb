"""A training killed with SIGKILL at ten random moments ends with the files of an unbroken one, byte by byte."""

import json
import subprocess
import sys
from pathlib import Path

# One process loads torch, then forks a child per attempt: ten fresh interpreters would take a minute to import.
LAUNCHER = '''
import json, os, random, signal, sys, time
from pathlib import Path
import torch
from weakmask.losses import interval_regression, region_mean
from weakmask.networks import UNet
from weakmask.training.fit import Plan, fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import deterministic, generator_for

def batch_at(step):
    image = torch.rand(2, 1, 16, 16, 16, generator=generator_for(1, step))
    return {"image": image, "low": image.mean(dim=(1, 2, 3, 4)) - 0.1}

def losses_of(network, batch, step):
    maps = torch.sigmoid(network(batch["image"]))
    predicted = region_mean(maps, torch.ones_like(maps))
    return {"total": interval_regression(predicted, batch["low"], batch["low"] + 0.05).mean()}

def validate(network, step):
    return {"score": -float(losses_of(network, batch_at(10**6), step)["total"])}

def train(folder):
    with deterministic():
        torch.manual_seed(0)
        network = UNet(3, width=2, initial_probability=0.2)
        optimiser = build_optimiser(network.parameters(), learning_rate=1e-3)
        plan = Plan(60, validate_every=4, checkpoint_every=3, average_decay=0.9, device="cpu", precision="32-true")
        fit(network, optimiser, batch_at, losses_of, validate, folder, plan)

def attempt(folder, seconds):
    """Train in a child; kill it after some seconds, or wait for it. Returns whether it was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(folder)
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a child failed")
    return os.WIFSIGNALED(status)

torch.set_num_threads(1)
root = Path(sys.argv[1])
began = time.monotonic()
attempt(root / "unbroken", None)
length = time.monotonic() - began
draw = random.Random(4)
killed = 0
broken = root / "broken"
for _ in range(10):
    killed += attempt(broken, draw.uniform(0.05, 0.35) * length)
    if (broken / "last.safetensors").exists() and not (broken / "checkpoint.safetensors").exists():
        break  # finished between two kills
else:
    attempt(broken, None)
print(json.dumps({"killed": killed, "seconds": length}))
'''


def test_killed_ten_times_it_ends_with_the_same_files(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["killed"] >= 5
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    assert {path.name for path in broken.iterdir()} == {path.name for path in unbroken.iterdir()}
    for name in ("best.safetensors", "last.safetensors", "curves.csv"):
        assert (broken / name).read_bytes() == (unbroken / name).read_bytes(), name
