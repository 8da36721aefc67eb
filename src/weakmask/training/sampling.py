"""Sampling of training items by pure functions of (seed, step), so that a resumed run has the same batches."""

from collections.abc import Sequence
from functools import lru_cache

import torch

from weakmask.training.seeding import generator_for


def balanced_batch(scores: Sequence[int], batch: int, seed: int, step: int) -> list[int]:
    """Draw items for one step, uniformly over the scores that occur (as in the dRAM authors' released code).

    The slots of all steps form one sequence. It is divided into stretches as long as the number of scores, and each
    stretch holds every score once in shuffled order, so that the counts of scores differ by at most one. The items of a
    score are used in shuffled order, and shuffled again when all have been used, so every item is used.

    Args:
        scores: The score of each item.
        batch: Slots of a step.
        seed: The run's seed.
        step: The step, from 0.

    Returns:
        `batch` indices into `scores`; an item can occur twice if its score has few items.

    Raises:
        ValueError: There are no items, or the batch is below 1.
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
    """Draw items for one step so that all `count` items are used equally often, in shuffled order in each epoch.

    Raises:
        ValueError: There are no items, or the batch is below 1.
    """
    demand_items(count, batch)
    everything = range(count)
    return [in_turn(everything, slot, seed, "items") for slot in range(step * batch, (step + 1) * batch)]


def alternating_batch(classes: Sequence[int], groups: Sequence[int], batch: int, seed: int, step: int) -> list[int]:
    """Draw items for one step: classes in turn, and within a class all groups equally often, so that none tells it.

    The slots of all steps form one sequence; slot s belongs to class s modulo their number. The groups of a class are
    used in shuffled order, and so are the items of a class in a group.

    Args:
        classes: The class of each item.
        groups: The group of each item, such as its patient.
        batch: Slots of a step.
        seed: The run's seed.
        step: The step, from 0.

    Returns:
        `batch` indices; an item can occur twice if its class has few in its group.

    Raises:
        ValueError: There are no items, or the batch is below 1.
    """
    demand_items(len(classes), batch)
    members = items_by_class_and_group(tuple(classes), tuple(groups))
    names = tuple(members)
    chosen = []
    for slot in range(step * batch, (step + 1) * batch):
        turn, place = divmod(slot, len(names))
        of_class = members[names[place]]
        group = in_turn(tuple(of_class), turn, seed, f"groups of {names[place]}")
        chosen.append(in_turn(of_class[group], turn // len(of_class), seed, f"class {names[place]}, group {group}"))
    return chosen


def in_turn(items: Sequence[int], turn: int, seed: int, stream: str) -> int:
    """The item at a turn, when items are used in shuffled order and shuffled again in each round."""
    epoch, place = divmod(turn, len(items))
    return items[shuffled(len(items), seed, epoch, stream)[place]]


@lru_cache(maxsize=64)
def shuffled(count: int, seed: int, number: int, stream: str) -> tuple[int, ...]:
    """A permutation of 0 .. count - 1, cached because a step needs the same one many times."""
    return tuple(torch.randperm(count, generator=generator_for(seed, number, stream)).tolist())


@lru_cache(maxsize=8)
def items_by_score(scores: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """Items of each score, in ascending order of scores."""
    return {score: tuple(i for i, each in enumerate(scores) if each == score) for score in sorted(set(scores))}


@lru_cache(maxsize=8)
def items_by_class_and_group(
    classes: tuple[int, ...], groups: tuple[int, ...]
) -> dict[int, dict[int, tuple[int, ...]]]:
    """Items of each group of each class, both in ascending order."""
    found: dict[int, dict[int, tuple[int, ...]]] = {}
    for one, group in sorted(set(zip(classes, groups, strict=True))):
        members = tuple(i for i, pair in enumerate(zip(classes, groups, strict=True)) if pair == (one, group))
        found.setdefault(one, {})[group] = members
    return found


def demand_items(count: int, batch: int) -> None:
    """Raise ValueError if there are no items or no slots."""
    if count < 1 or batch < 1:
        raise ValueError(f"a batch of {batch} from {count} items: both must be at least 1")
