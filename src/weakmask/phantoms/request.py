"""The request for a cohort of phantoms: checked before any work is done, and the seed of each phantom."""

from pathlib import Path

import numpy as np

from weakmask.errors import UserError

MOST_PHANTOMS = 100_000


def check_request(folder: Path, phantoms: int, seed: int) -> None:
    """Refuse a folder that is not empty, and numbers out of range.

    Raises:
        UserError: The line says what came and what was expected.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder; choose a new name or remove it")
    if not 1 <= phantoms <= MOST_PHANTOMS:
        raise UserError(f"the number of scans is {phantoms}; expected 1 to {MOST_PHANTOMS:,}")
    if not 0 <= seed < 2**63:
        raise UserError(f"seed is {seed}; expected 0 to {2**63 - 1}")


def phantom_seeds(phantoms: int, seed: int) -> list[tuple[str, int]]:
    """Name and seed of each phantom of a cohort; phantom k does not depend on their number."""
    seeds = [int(np.random.SeedSequence([seed, k]).generate_state(1)[0]) for k in range(phantoms)]
    return [(f"phantom_{seed}_{k:04d}", own) for k, own in enumerate(seeds)]
