"""A volume on the disk is predicted and labelled in bounded memory, with the result of one pass."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "large_volume.py"


@pytest.mark.slow
def test_a_volume_is_segmented_in_blocks():
    """34 MB; `benchmarks/large_volume.py --gigabytes 10` is the same with 10 GB."""
    command = [sys.executable, str(BENCHMARK), "--json", "--gigabytes", "0.034", "--width", "1", "--memory-gb", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)["cases"][0]
    assert row["volume_mb"] == 32
    assert row["instances"] == 48
    assert row["peak_memory_mb"] < 2048
    assert row["differences"]["instances"] == 8
    assert row["differences"]["maps_in_255ths"] <= 1
    assert row["differences"]["labels_voxels"] == 0
