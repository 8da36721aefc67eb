"""A stack on the disk is predicted and labelled in bounded memory, with the result of one pass."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "em_large_stack.py"


@pytest.mark.slow
def test_a_stack_is_segmented_in_blocks():
    """64 MB in several blocks and slabs; `benchmarks/em_large_stack.py --gb 4` is the same with 4 GB."""
    command = [sys.executable, str(BENCHMARK), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)["cases"][0]
    assert row["stack_mb"] == 64
    assert row["peak_memory_mb"] < 2048
    assert row["instances"] == 96
    assert row["differences"]["compared_sections"] == 64
    assert row["differences"]["maps_more_than_rounding"] == row["differences"]["labels"] == 0
