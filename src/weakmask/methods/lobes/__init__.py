"""Pulmonary lobes from chest CT: PDV-Net, and beside it dense V-Net, V-Net and a 2-D U-Net.

Imran et al. 2019 (arXiv 1902.06362). dRAM learns from scores per lobe; these networks find the lobes of scans that
bring none. The files are the stages, in this order:

prepare       scans with lobes, or phantoms -> the network's grid (`frame`)
segmentation  grids -> network, by soft Dice on every output (`augmentation`)
model         network -> model file; also loads the one that comes with the package
judging       model and scans -> lobes on each scan's grid (`predict`, `assignment`), Dice per lobe
report        the run -> report.html
"""

from weakmask.methods.lobes.config import LobeSettings
from weakmask.methods.lobes.evaluate_run import judge
from weakmask.methods.lobes.prepare import prepare
from weakmask.methods.lobes.run_report import conclude
from weakmask.methods.lobes.segmentation import segmentation, write_model
from weakmask.pipeline import Stage

STAGES = (
    Stage("prepare", prepare, settings=("device", "data", "prepare")),
    Stage(
        "segmentation",
        segmentation,
        after=("prepare",),
        settings=("seed", "device", "prepare", "network", "augmentation", "segmentation"),
        resumable=True,
    ),
    Stage("model", write_model, after=("prepare", "segmentation")),
    Stage("evaluation", judge, after=("model",)),
)

__all__ = ["STAGES", "LobeSettings", "conclude"]
