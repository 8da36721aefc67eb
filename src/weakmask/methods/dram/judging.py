"""Stage 8: the run's masks against truth, beside three baselines that need no network."""

from weakmask.methods.dram.config import DramSettings
from weakmask.pipeline import Work
from weakmask.region_learning.evaluate_run import judge_masks


def judge(work: Work) -> None:
    """The tables."""
    judge_masks(work, {method_name(work.config): work.stage("maps") / "masks"})


def method_name(config: DramSettings) -> str:
    """The row of the paper's ablation with these settings, or a description of the differences."""
    refinement = config.refinement
    if config.context.train:
        return "dRAM + context"
    if refinement.weight and refinement.anchor.until:
        return "dRAM anchored"
    if refinement.weight and config.vessels.suppress:
        return "dRAM + vessel suppression"
    if refinement.weight:
        return "dRAM + attention" if refinement.attention else "dRAM + refine"
    regularised = config.losses.equivariance > 0 or config.losses.entropy > 0
    return "dRAM + regularizer" if regularised else "dRAM raw"
