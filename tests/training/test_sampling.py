"""Batches: balanced over scores, nothing forgotten, the same after a stop."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakmask.training.sampling import alternating_batch, balanced_batch, uniform_batch

SCORES = [0] * 50 + [1] * 7 + [2] * 11 + [5]


def drawn(steps: int, batch: int = 6, seed: int = 0) -> list[int]:
    return [i for step in range(steps) for i in balanced_batch(SCORES, batch, seed, step)]


def test_scores_come_equally_often_at_any_time():
    for steps in (1, 7, 50):
        counts = Counter(SCORES[i] for i in drawn(steps))
        assert counts.keys() == set(SCORES)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_every_item_of_a_score_comes_once_before_any_comes_twice():
    steps = 50 * 4 // 6 + 1
    for score in set(SCORES):
        items = [i for i, each in enumerate(SCORES) if each == score]
        turns = [i for i in drawn(steps) if SCORES[i] == score]
        for start in range(0, len(turns) - len(items) + 1, len(items)):
            assert sorted(turns[start : start + len(items)]) == items
    assert set(drawn(steps)) == set(range(len(SCORES)))


def test_rounds_are_shuffled_anew():
    turns = [i for i in drawn(200) if SCORES[i] == 2]
    assert turns[:11] != turns[11:22]
    assert [SCORES[i] for i in drawn(1)] != [SCORES[i] for i in drawn(5)[24:30]]


def test_a_step_is_a_function_of_seed_and_step():
    straight = [balanced_batch(SCORES, 5, 3, step) for step in range(10)]
    backwards = [balanced_batch(SCORES, 5, 3, step) for step in reversed(range(10))]
    assert straight == backwards[::-1]
    assert straight != [balanced_batch(SCORES, 5, 4, step) for step in range(10)]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(1, 9), st.integers(0, 10**6))
def test_indices_are_always_valid(scores: list[int], batch: int, step: int):
    chosen = balanced_batch(scores, batch, 0, step)
    assert len(chosen) == batch
    assert all(0 <= i < len(scores) for i in chosen)


def test_uniform_goes_round():
    turns = [i for step in range(14) for i in uniform_batch(7, 4, 0, step)]
    for start in range(0, 56, 7):
        assert sorted(turns[start : start + 7]) == list(range(7))
    assert turns[:7] != turns[7:14]


def test_a_batch_larger_than_the_items_repeats_them():
    assert Counter(uniform_batch(3, 7, 0, 0)).most_common()[-1][1] == 2


@pytest.mark.parametrize(("scores", "batch"), [([], 4), ([1], 0)])
def test_nothing_to_draw_is_refused(scores: list[int], batch: int):
    with pytest.raises(ValueError, match="at least 1"):
        balanced_batch(scores, batch, 0, 0)
    with pytest.raises(ValueError, match="at least 1"):
        uniform_batch(len(scores), batch, 0, 0)


def test_alternating_batches_draw_classes_in_turn_and_groups_alike() -> None:
    classes, groups = [0] * 30 + [1] * 12, [0] * 25 + [1] * 5 + [0] * 2 + [2] * 10
    drawn = [item for step in range(100) for item in alternating_batch(classes, groups, 6, 3, step)]
    assert [classes[item] for item in drawn] == [0, 1] * 300
    for one in (0, 1):
        counts = Counter(groups[item] for item in drawn if classes[item] == one)
        assert set(counts.values()) == {150}  # each of both groups of a class
    assert set(drawn) == set(range(42))
    assert alternating_batch(classes, groups, 6, 3, 7) == drawn[42:48]  # of the step alone
    with pytest.raises(ValueError, match="from 0 items"):
        alternating_batch([], [], 1, 0, 0)
