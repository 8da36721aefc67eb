"""The texts of dRAM's report say which labels were learnt."""

from pathlib import Path

from weakmask.methods.dram.config import DramSettings, TrueMaskSettings
from weakmask.methods.dram.report import report_text
from weakmask.region_learning.settings import DataSettings


def test_masks_beside_scores_are_told_in_row_headline_and_methods() -> None:
    scores = DramSettings(data=DataSettings(cohort=Path("cohort")))
    both = scores.model_copy(update={"true_masks": TrueMaskSettings(use=True, share=0.25)})
    plain, mixed = report_text(scores), report_text(both)
    assert (plain.row, plain.learned) == ("dRAM complete", "trained from scores alone")
    assert "trained on the scores alone with" in plain.methods_text
    assert (mixed.row, mixed.learned) == ("dRAM complete, with masks", "trained from scores and masks of some scans")
    assert "trained on the scores and, in 25 % of each batch, on true masks" in mixed.methods_text
    assert "alone" not in mixed.learned + mixed.methods_text
