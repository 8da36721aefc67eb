"""A manifest and a config as a person reads them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from weakmask.report.number_text import duration, number, percent
from weakmask.report.provenance_table import config_lines, facts

MANIFEST = {
    "weakmask": "0.1.0",
    "seed": 12345,
    "device": None,
    "config_sha256": "9f" * 32,
    "libraries": {"torch": "2.6.0", "numpy": "2.4.6"},
    "stages": [
        {"stage": "01-prepare", "seconds": 61.2, "peak_memory_mb": 1800},
        {"stage": "03-regression", "seconds": 11822.0, "peak_memory_mb": 5400},
    ],
    "notes": [],
    "inputs": {f"images/{i}.nii.gz": "ab" * 32 for i in range(9)},
}


def test_a_manifest_becomes_lines_and_tables():
    lines, tables = facts(MANIFEST)
    assert [(fact.name, fact.value, fact.code) for fact in lines] == [
        ("weakmask", "0.1.0", False),
        ("Seed", "12345", False),
        ("Config SHA-256", "9f" * 32, True),
    ]
    assert [table.title for table in tables] == ["Libraries", "Stages", "Inputs"]
    libraries, stages, inputs = tables
    assert [[fact.value for fact in row] for row in libraries.rows] == [["torch", "2.6.0"], ["numpy", "2.4.6"]]
    assert stages.heads == ("Stage", "Time", "Peak memory (MB)")
    assert [fact.value for fact in stages.rows[1]] == ["03-regression", "3 h 17 min", "5\N{NARROW NO-BREAK SPACE}400"]
    assert inputs.long
    assert inputs.rows[0][1].code
    assert not stages.long


def test_mappings_in_mappings_and_lists():
    lines, tables = facts(
        {
            "stages": {"a": {"seconds": 2.0}, "b": {"seconds": 70}},
            "folds": [1, 2],
            "trained": {"on": {"x": 1}, "by": "y"},
        }
    )
    assert [(fact.name, fact.value) for fact in lines] == [("Folds", "1, 2")]
    assert [[fact.value for fact in row] for row in tables[0].rows] == [["a", "2.0 s"], ["b", "1 min 10 s"]]
    assert [[fact.value for fact in row] for row in tables[1].rows] == [["on", "x 1"], ["by", "y"]]


def test_the_config_is_yaml_line_by_line():
    config = {
        "method": "dram",
        "data": {"cohort": Path("a/b"), "window": (-1200.0, 300)},
        "step": np.float64(0.5),
        "none": None,
    }
    lines = config_lines(config)
    assert lines[0] == ("method:", " dram")
    assert ("  cohort:", " a/b") in lines
    assert ("  window:", " [-1200.0, 300]") in lines
    text = "\n".join(key + rest for key, rest in lines)
    expected = {"method": "dram", "data": {"cohort": "a/b", "window": [-1200.0, 300]}, "step": 0.5, "none": None}
    assert yaml.safe_load(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (12000, "12\N{NARROW NO-BREAK SPACE}000"),
        (-2.0, "\N{MINUS SIGN}2"),
        (0.12345, "0.123"),
        (np.float32(-0.5), "\N{MINUS SIGN}0.500"),
        (1.5e-6, "1.5e\N{MINUS SIGN}06"),
        (float("inf"), "inf"),
        (float("nan"), "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
        (True, "True"),
        ("-1.0-beta", "-1.0-beta"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_durations_and_percents():
    assert [duration(s) for s in (0.42, 9.96, 59.7, 125, 11400)] == [
        "0.4 s",
        "10.0 s",
        "1 min 00 s",
        "2 min 05 s",
        "3 h 10 min",
    ]
    assert [percent(f) for f in (0, 0.004, 0.0999, 0.1, 0.555, 1)] == [
        "0 %",
        "0.4 %",
        "10.0 %",
        "10 %",
        "56 %",
        "100 %",
    ]
