"""Masks to clinical numbers."""

from weakmask.scoring.severity import CT_SEVERITY, ScoreMap, read_score_map, region_fractions, severity_table

__all__ = [
    "CT_SEVERITY",
    "ScoreMap",
    "read_score_map",
    "region_fractions",
    "severity_table",
]
