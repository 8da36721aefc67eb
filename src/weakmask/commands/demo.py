"""Everything once, on phantoms: make a cohort, train dRAM from its scores, judge it, segment one scan, tell."""

from pathlib import Path

import pandas as pd

from weakmask.commands.predict import RegionSource, predict
from weakmask.methods import METHODS, train
from weakmask.methods.dram import DramSettings
from weakmask.methods.dram.config import ContextSettings, LossSettings, MapSettings, RefinementSettings
from weakmask.phantoms.chest_ct import QUICK_SHAPE, QUICK_SPACING_MM, check_phantom_cohort, write_phantom_cohort
from weakmask.progress import console
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings

TRAINING_SCANS, TEST_SCANS = 80, 12
TEST_SEED = 10_000  # test phantoms come from seeds that no training cohort of the demo reaches


def demo_settings(phantoms: Path, seed: int) -> DramSettings:
    """The settings of dRAM cut down to minutes on two cores: a narrow network and small crops.

    The crops are coarser than the scans, so the maps are made of enlarged ones: finer than the network was trained at,
    which small lesions gain from.
    """
    return DramSettings(
        seed=seed,
        device="cpu",
        data=DataSettings(cohort=phantoms / "training", test=phantoms / "test", validation=0.1, split_seed=seed),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(32, 32, 32)),
        network=NetworkSettings(width=8),
        losses=LossSettings(equivariance=0.0, entropy=0.0, compare="root"),
        refinement=RefinementSettings(weight=0.0),
        regression=TrainingSettings(
            steps=900, batch=6, learning_rate=2e-3, average_decay=0.98, keep="last", validate_every=100
        ),
        maps=MapSettings(scales=(1.5, 2.0)),
        context=ContextSettings(train=False),
    )


def run_demo(run: Path, seed: int) -> pd.DataFrame:
    """Run the demo into `run`, its phantoms beside it in `run`-phantoms; returns the summary.

    Raises:
        UserError: The folder cannot be written or holds a run with other settings, or the phantoms are of another seed.
    """
    phantoms = run.with_name(f"{run.name}-phantoms")
    for name, scans, first in (("training", TRAINING_SCANS, seed), ("test", TEST_SCANS, seed + TEST_SEED)):
        if not (phantoms / name / "phantom.json").exists():
            console.print(f"[bold]phantoms[/] {scans} scans for {name}", highlight=False)
            write_phantom_cohort(phantoms / name, scans, first, QUICK_SHAPE, QUICK_SPACING_MM)
        check_phantom_cohort(phantoms / name, scans, first, QUICK_SHAPE, QUICK_SPACING_MM)
    settings = demo_settings(phantoms, seed)
    summary = train(METHODS["dram"], settings, run)
    scan = min((phantoms / "test" / "images").iterdir())
    predict(run, [scan], run / "one-scan", RegionSource(phantoms / "test" / "regions"), device="cpu")
    return summary
