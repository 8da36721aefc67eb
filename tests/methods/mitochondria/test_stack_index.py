"""The sections of a stack that are trained on, and the others."""

import numpy as np
import pytest

from weakmask.methods.mitochondria.stack_index import StackRow


def row(part: str, first: int, count: int) -> StackRow:
    return StackRow("a", "a", part, 10, first, count, 40, 48, 1, 30.0, 8.0, 8.0, instances=1, foreground=0.1)


@pytest.mark.parametrize(
    ("part", "first", "count", "training", "others"),
    [
        ("training", 0, 8, range(8), [8, 9]),
        ("training", 2, 8, range(2, 10), [0, 1]),
        ("training", 0, 10, range(10), []),
        ("test", 0, 0, [], range(10)),
    ],
)
def test_each_section_is_trained_on_or_held_out(part: str, first: int, count: int, training, others):
    one, sections = row(part, first, count), np.arange(10)
    assert sections[one.training].tolist() == list(training)
    assert sections[one.held_out_sections].tolist() == list(others)
    assert one.held_out_shape == (len(others), 40, 48)
