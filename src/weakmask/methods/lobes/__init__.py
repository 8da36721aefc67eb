"""Pulmonary lobes from chest CT: PDV-Net, and beside it dense V-Net, V-Net and a 2-D U-Net.

Imran et al. 2019 (arXiv 1902.06362). dRAM learns from scores per lobe; these networks find the lobes of scans without
region masks. The files are the stages, in this order:

`prepare`        scans with lobes, or phantoms -> the network's grid (`regions.lobe_frame`)
`segmentation`   grids -> network, by soft Dice on every output (`augmentation`); network -> model file
`evaluate_run`   model and scans -> lobes on each scan's grid (`regions.find_lobes`), Dice per lobe
`run_report`     the run for a reader

`hard_phantoms` is a further test of several networks, on phantoms with lesions, noise and thick slices.
"""

from weakmask.methods.lobes.config import LobeSettings
from weakmask.methods.lobes.evaluate_run import evaluate
from weakmask.methods.lobes.prepare import prepare
from weakmask.methods.lobes.run_report import run_page
from weakmask.methods.lobes.segmentation import segmentation, write_model
from weakmask.methods.method import Method
from weakmask.pipeline import Stage

METHOD = Method(
    title="the five lobes of the lungs, for methods that learn from scores per lobe",
    paper="Imran et al. 2019, arXiv 1902.06362",
    labels="lobe masks (regions/), or none: phantoms",
    settings=LobeSettings,
    stages=(
        Stage("prepare", prepare, settings=("device", "data", "prepare")),
        Stage(
            "segmentation",
            segmentation,
            after=("prepare",),
            settings=("seed", "device", "prepare", "network", "augmentation", "segmentation"),
            resumable=True,
        ),
        Stage("model", write_model, after=("prepare", "segmentation")),
        Stage("evaluation", evaluate, after=("model",)),
    ),
    report=run_page,
)

__all__ = ["METHOD", "LobeSettings"]
