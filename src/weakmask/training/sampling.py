"""Which items a step trains on: pure functions of (seed, step), so that a stopped run goes on with the same batches."""

from collections.abc import Sequence
from functools import lru_cache

import torch

from weakmask.training.seeding import generator_for


def balanced_batch(scores: Sequence[int], batch: int, seed: int, step: int) -> list[int]:
    """Items for one step, drawn uniformly over the scores that occur (the dRAM authors' released code does so too).

    The slots of all steps form one line. Each stretch of it as long as there are scores holds every score once, in
    shuffled order, so that counts stay within one of each other; a score's items take their turns in shuffled order,
    shuffled anew when all have been used, so that every item is seen.

    Args:
        scores: The score of each item.
        batch: Slots of a step.
        seed: The run's seed.
        step: The step, from 0.

    Returns:
        `batch` indices into `scores`; an item can come twice where its score has few items.

    Raises:
        ValueError: No items, or a batch below 1.
    """
    demand_items(len(scores), batch)
    items = items_by_score(tuple(scores))
    names = tuple(items)
    chosen = []
    for slot in range(step * batch, (step + 1) * batch):
        stretch, place = divmod(slot, len(names))
        score = names[shuffled(len(names), seed, stretch, "scores")[place]]
        chosen.append(in_turn(items[score], stretch, seed, f"score {score}"))
    return chosen


def uniform_batch(count: int, batch: int, seed: int, step: int) -> list[int]:
    """Items for one step, all equally often: `count` items take their turns in shuffled order, epoch after epoch.

    Raises:
        ValueError: No items, or a batch below 1.
    """
    demand_items(count, batch)
    everything = range(count)
    return [in_turn(everything, slot, seed, "items") for slot in range(step * batch, (step + 1) * batch)]


def in_turn(items: Sequence[int], turn: int, seed: int, stream: str) -> int:
    """The item whose turn it is when items are gone round in shuffled order, shuffled anew each time round."""
    epoch, place = divmod(turn, len(items))
    return items[shuffled(len(items), seed, epoch, stream)[place]]


@lru_cache(maxsize=64)
def shuffled(count: int, seed: int, number: int, stream: str) -> tuple[int, ...]:
    """A permutation of 0 .. count - 1; kept for a while, because a step asks for the same one many times."""
    return tuple(torch.randperm(count, generator=generator_for(seed, number, stream)).tolist())


@lru_cache(maxsize=8)
def items_by_score(scores: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """Score -> its items, scores in rising order."""
    return {score: tuple(i for i, each in enumerate(scores) if each == score) for score in sorted(set(scores))}


def demand_items(count: int, batch: int) -> None:
    """Raise ValueError where there is nothing to draw or nothing to draw for."""
    if count < 1 or batch < 1:
        raise ValueError(f"a batch of {batch} from {count} items: both must be at least 1")
