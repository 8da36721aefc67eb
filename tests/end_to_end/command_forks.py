"""The command line in forks of one process that has imported torch: a start takes no seconds of importing."""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

from weakmask.cli import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["weakmask.cli", "weakmask.methods.dram"])


def start_command(arguments: list[str], printed: Path) -> ForkServerProcess:
    """Start `weakmask ARGUMENTS` as a process of its own, with one thread.

    Args:
        arguments: The verb and what follows it.
        printed: The file that receives what it prints; it is written anew.
    """
    process = FORKS.Process(target=run_command, args=(arguments, printed, dict(os.environ)))
    process.start()
    return process


def run_command(arguments: list[str], printed: Path, environment: dict[str, str]) -> None:
    """Run the command in this process, and end the process with its exit code."""
    os.environ.update(environment)
    for number in (1, 2):
        os.dup2(os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), number)
    torch.set_num_threads(1)  # sums are added up in one order
    sys.argv = ["weakmask", *arguments]
    main()
