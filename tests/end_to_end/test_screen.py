"""What the console shows of a summary."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from weakmask.screen import counted, print_good, print_methods, print_summary


def test_columns_without_any_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(pd.DataFrame({"method": ["ours", "Otsu"], "iou_mean": math.nan, "ppv": [math.nan, 0.25]}))
    shown = capsys.readouterr().out
    assert "iou_mean" not in shown
    assert "0.250" in shown
    assert "ppv" in shown


def case(scores: dict[int, int], presence: object = None, regions: str | None = "mask") -> SimpleNamespace:
    return SimpleNamespace(scores=scores, presence=presence or {}, regions=regions)


def test_regions_that_will_be_found_and_scans_left_out_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_good([case({1: 2}, regions=None), case({1: 2})], left_out=3)
    good, found = capsys.readouterr().out.splitlines()
    assert good == "2 scans with 2 scored regions can be used; 3 scans left out (above)"
    assert found.startswith("1 scan without a region mask: `train` finds lobes by network")


def test_paths_of_configs_are_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    path = "a_long_folder/" * 20 + "dram.yaml"
    described = {"dram": {"title": "masks", "labels": "scores", "paper": "Xie", "configs": [path, "b.yaml"]}}
    print_methods(described, as_json=False)
    assert f"  config       {path}" in capsys.readouterr().out.splitlines()


def test_one_is_not_many(capsys: pytest.CaptureFixture[str]) -> None:
    print_good([case({1: 2})])
    print_good([case({1: 2, 2: 0}, {None: {"cat": True, "dog": False}}), case({1: 0})])
    assert (
        capsys.readouterr().out
        == "1 scan with 1 scored region: good\n2 scans with 3 scored regions and 2 labels: good\n"
    )
    assert counted(0, "scan") == "0 scans"


def test_no_number_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(pd.DataFrame({"method": ["ours", "Otsu"], "ppv": [math.nan, 0.25]}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ours", "-"] in lines
    assert ["Otsu", "0.250"] in lines
