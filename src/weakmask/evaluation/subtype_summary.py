"""One method's numbers in one line: its summary, and the IoU of each lesion subtype beside it."""

import math
from typing import Any

import pandas as pd

from weakmask.evaluation.overlap import SUBSETS
from weakmask.evaluation.table import summarise, summarise_detail

SUBTYPES = {"consolidation": "consolidation", "ground-glass": "ground_glass", "mixed": "mixture"}  # subset -> column
NUMBERS = (
    *("scans", "iou_mean", *(f"iou_mean_{name}" for name in SUBTYPES.values())),
    *("iou_pooled", *(f"iou_pooled_{name}" for name in SUBTYPES.values())),
    *("dice_mean", "dice_pooled", "ppv", "sensitivity", "specificity", "kappa", "kappa_low", "kappa_high"),
)


def summary_line(results: pd.DataFrame, scores: pd.DataFrame) -> dict[str, Any]:
    """The `NUMBERS` of a method.

    Means are over the scans with lesions (of the subtype, where it is one); pooled ratios are made of the counts of
    all scans. A mark outside all lesions counts as false for each subtype.

    Args:
        results: Of one method, with `table.RESULT_COLUMNS`.
        scores: Likewise, with `table.SCORE_COLUMNS`.
    """
    detail: dict[Any, dict[Any, Any]] = {
        (line["subset"], line["cases"]): line for line in summarise_detail(results).to_dict("records")
    }
    line: dict[Any, Any] = {**summarise(results, scores).to_dict("records")[0]}
    for subset in SUBSETS[1:]:
        for cases, measure in (("positives", "iou_mean"), ("all", "iou_pooled")):
            line[f"{measure}_{SUBTYPES[subset]}"] = detail.get((subset, cases), {}).get(measure, math.nan)
    line["dice_pooled"] = detail["all", "all"]["dice_pooled"]
    return {name: line[name] for name in NUMBERS}
