"""How often the sets of scores of calibrated models hold the given score, and how large they are.

Each severity.csv holds the given scores and predicted shares of regions that a network has not seen; of its methods the
first counts, the run's own. Several files of a case are pooled, as the folds of a cross-validation. The patients are
split at random into some to calibrate on and some to count on, again and again, for three seeds of the splits. Printed
are the coverage (patients weigh alike), the mean number of scores in a set, and how often the predicted score alone is
the given one.

Usage: score_sets.py [--json] [--calibrate N] [--splits N] [--coverage C] NAME=severity.csv[,severity.csv...] ...
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weakmask.scoring.score_sets import calibrated, score_distance
from weakmask.scoring.severity import CT_SEVERITY

SEEDS = (0, 1, 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--calibrate", type=float, default=0.8, help="share of the patients to calibrate on")
    parser.add_argument("--splits", type=int, default=200, help="random splits of a seed")
    parser.add_argument("--coverage", type=float, default=0.9)
    parser.add_argument("cases", nargs="+", help="name=file or name=file,file")
    given = parser.parse_args()
    cases = [
        {"case": name, "seed": seed, **measured(table, given.calibrate, given.splits, given.coverage, seed)}
        for name, table in map(read, given.cases)
        for seed in SEEDS
    ]
    if given.json:
        print(json.dumps({"benchmark": "score_sets", "coverage": given.coverage, "cases": cases}))
        return
    for case in cases:
        print(
            f"{case['case']:28} seed {case['seed']}: {case['calibrated_on']} patients, coverage "
            f"{case['coverage']:.3f}, {case['scores']:.2f} scores a set; predicted score alone {case['alone']:.3f}"
        )


def read(argument: str) -> tuple[str, pd.DataFrame]:
    """The name of a case and its regions: those of the first row of each file."""
    name, _, files = argument.partition("=")
    tables = [pd.read_csv(Path(file), dtype={"patient": str}) for file in files.split(",")]
    return name, pd.concat([table[table["method"] == table["method"].iloc[0]] for table in tables], ignore_index=True)


def measured(table: pd.DataFrame, share: float, splits: int, coverage: float, seed: int) -> dict[str, Any]:
    """Coverage and size of the sets, means over the splits."""
    rng, patients = np.random.default_rng(seed), table["patient"].unique()
    number = round(share * len(patients))
    apart = [[score_distance(CT_SEVERITY, k, p) for p in table["fraction"]] for k in CT_SEVERITY.scores]
    of_scores = np.array(apart)  # score, region
    distances = np.choose(table["score_given"].to_numpy(int), of_scores)
    covered, scores = [], []
    for _ in range(splits):
        known = table["patient"].isin(rng.permutation(patients)[:number]).to_numpy()
        sets = calibrated(distances[known].tolist(), table["patient"][known].tolist(), coverage)
        if sets is None:
            raise SystemExit(f"{number} patients are too few to calibrate on")
        held = pd.DataFrame(
            {
                "patient": table["patient"][~known],
                "held": distances[~known] <= sets.distance,
                "scores": (of_scores[:, ~known] <= sets.distance).sum(0),
            }
        )
        of_patients = held.groupby("patient").mean()
        covered.append(of_patients["held"].mean())
        scores.append(of_patients["scores"].mean())
    alone = [CT_SEVERITY.score_of(p) == k for p, k in zip(table["fraction"], table["score_given"], strict=True)]
    return {
        "calibrated_on": number,
        "coverage": float(np.mean(covered)),
        "scores": float(np.mean(scores)),
        "alone": float(np.mean(alone)),
    }


if __name__ == "__main__":
    main()
