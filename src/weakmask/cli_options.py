"""Options that several verbs of the command line share."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from weakmask.screen import PlainCommand

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, e.g. regression.steps=500; repeatable."),
]
Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same result on the same machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Device = Annotated[str, typer.Option(help="Where to compute: auto (a GPU if there is one), cpu, cuda or mps.")]
Scans = Annotated[list[Path], typer.Argument(help="Image files, folders of DICOM files, or folders full of scans.")]
Series = Annotated[
    list[str] | None,
    typer.Option(
        metavar="UID",
        help="DICOM series of a folder that has several: UID, number or description, or `time 2` of many frames.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Work on a Ray cluster: local (started on this machine), auto or HOST:PORT."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes on the cluster.", show_default="one per GPU, else per CPU")
]
Names = Annotated[
    Literal["path", "dicom"], typer.Option(help="Names of results: from paths, or from PatientID and series.")
]

Verb = Callable[..., None]


def verb_of(app: typer.Typer) -> Callable[[str], Callable[[Verb], Verb]]:
    """The decorator that adds a function to a command line as a verb.

    It takes an example, which begins with the name of the verb and ends its help.
    """

    def verb(example: str) -> Callable[[Verb], Verb]:
        """Add a verb with an example."""
        name = example.split(maxsplit=1)[0]
        return app.command(name, cls=PlainCommand, epilog=f"Example: [bold]weakmask {example}[/]")

    return verb
