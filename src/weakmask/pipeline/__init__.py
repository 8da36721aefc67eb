"""Stages, the run folder, its manifest, and resuming after an interruption: the only framework code in the package.

`stages`         what a stage is, and running those that are not complete yet
`keys`           what a stage was made from: settings, input files and earlier stages
`manifest`       the records that stages leave, gathered for a reader
`stage_reuse`    finished stages copied from other runs
`parallel_runs`  several trainings at the same time
"""

from weakmask.pipeline.keys import finished_elsewhere
from weakmask.pipeline.manifest import Run, find_stage, provenance, read_manifest, read_stage, stage_folder
from weakmask.pipeline.stages import Stage, Work, run_stages, spread_of

__all__ = [
    "Run",
    "Stage",
    "Work",
    "find_stage",
    "finished_elsewhere",
    "provenance",
    "read_manifest",
    "read_stage",
    "run_stages",
    "spread_of",
    "stage_folder",
]
