"""The folder of a result: complete or absent, and nothing that a user put there is replaced.

NAME/
  mask.nii.gz  activation.nii.gz  regions.nii.gz  subtypes.nii.gz    of a picture .png
  preview.webp    one slice of each plane with the mask
  scan.json       the model and the inputs of the result, its values, warnings, and the digests of its files

Of a model that finds instances: instances.tif, probability.tif, instances.csv and scan.json; of a stack of Zarr or HDF5
the volumes are .zarr or .h5.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from weakmask.atomic_write import atomic_file, atomic_folder, move_into, writing_into
from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.inference.scan_record import RECORD, ScanRecord, read_record, write_record
from weakmask.prediction import Kind
from weakmask.volume.pictures import is_picture
from weakmask.volume.stack_files import written_suffix

PREVIEW = "preview.webp"
TABLE = "instances.csv"
INSTANCES = {"mask": "instances", "activation": "probability"}  # files by what they hold, without the suffix


def layer_files(kind: Kind, image: Path | None) -> dict[str, str]:
    """The files that a result may have, by what they hold; `scan.json` stands beside them.

    Args:
        kind: Of the labels of the mask.
        image: The file of the image; None: it has none.
    """
    if kind == "instances":
        suffix = ".tif" if image is None else written_suffix(image)
        return {**{layer: f"{name}{suffix}" for layer, name in INSTANCES.items()}, "instances": TABLE}
    suffix = ".png" if image is not None and is_picture(image) else ".nii.gz"
    layers = {layer: f"{layer}{suffix}" for layer in ("mask", "activation", "regions", "subtypes")}
    return {**layers, "preview": PREVIEW}


def recorded_files(record: ScanRecord) -> dict[str, str]:
    """The volumes of a result, by what they hold."""
    named = {Path(name).stem: name for name in record.files if name != TABLE}
    if INSTANCES["mask"] in named:
        return {layer: named[name] for layer, name in INSTANCES.items() if name in named}
    return layer_files("classes", Path("mask.png" if "mask.png" in record.files else "mask.nii.gz"))


def holds_instances(record: ScanRecord) -> bool:
    """Whether a result is that of a model that finds instances."""
    return TABLE in record.files


@dataclass(frozen=True, eq=False)
class Content:
    """Content of the folder of a result.

    Attributes:
        layers: Function that writes a volume to a path, by file name.
        tables: Tables by file name.
        pictures: Other files by name.
        record: The record; its digests are filled in.
    """

    layers: Mapping[str, Callable[[Path], None]]
    tables: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, bytes]
    record: ScanRecord


def save_content(
    content: Content, folder: Path, names: Collection[str], replaceable: Collection[str] = (), *, shared: bool = False
) -> ScanRecord:
    """Write the folder of a result; an earlier result in it is replaced, and files of other names stay.

    Args:
        content: The files.
        folder: The folder; named after the scan, as a rule.
        names: All names that a result of this kind may have.
        replaceable: Those of them that may be replaced although no record in the folder lists them.
        shared: Whether the folder holds other things, too.

    Returns:
        The record that the folder holds now.

    Raises:
        UserError: A file is there that no result left, or that was changed since.
        MachineError: The folder cannot be written.
    """
    old = read_record(folder)
    refuse_changed(folder, old, names, replaceable)
    recorded = [] if old is None else [name.partition("/")[0] for name in old.files]
    gone = dict.fromkeys([*recorded, *(name for name in names if name in replaceable)])
    with atomic_folder(folder / "result" if shared else folder, partial(_finish, folder, tuple(gone))) as temporary:
        for name, write in content.layers.items():
            write(temporary / name)
        for name, table in content.tables.items():
            write_csv(table, temporary / name, "%.6g")
        for name, picture in content.pictures.items():
            (temporary / name).write_bytes(picture)
        files = {file.name: digest_of(file) for file in sorted(temporary.iterdir())}
        record = replace(content.record, files=files)
        write_record(temporary, record)
    return record


def add_files(folder: Path, record: ScanRecord, contents: Mapping[str, bytes], old: Collection[str]) -> ScanRecord:
    """Write more files into the folder of a result.

    The record lists them before they are written: after a kill it names files that are absent, which the same call
    writes, and never a file that it does not know.

    Args:
        folder: The folder of the result.
        record: Its record.
        contents: Path in the folder -> content.
        old: Files of an earlier call, which are removed.

    Returns:
        The record that the folder holds now.

    Raises:
        MachineError: The folder cannot be written.
    """
    with writing_into(folder):
        for name in old:
            (folder / name).unlink(missing_ok=True)
    others = {name: digest for name, digest in record.files.items() if name not in old}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    updated = replace(record, files={**others, **digests})
    write_record(folder, updated)
    for name, content in contents.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_bytes(content)
    return updated


def refuse_changed(
    folder: Path, old: ScanRecord | None, names: Collection[str], replaceable: Collection[str] = ()
) -> None:
    """Refuse to replace files that a user put into the folder of a result, or changed there.

    Args:
        folder: The folder.
        old: Its record; None: it has none.
        names: The files that a new result may have.
        replaceable: Names of files that may be replaced although no record lists them.

    Raises:
        UserError: Such a file.
    """
    recorded: Mapping[str, str] = {} if old is None else {**old.files, RECORD: ""}
    for name in dict.fromkeys([*names, *recorded]):
        file = folder / name
        if not file.exists():
            continue
        if name not in recorded and not (old is None and name in replaceable):
            raise UserError(f"{file}: exists and is no result of weakmask; move it, or choose another folder")
        if recorded.get(name) and digest_of(file) != recorded[name]:
            raise UserError(
                f"{file}: was changed after it was written, and a new result would replace it; move it, or choose "
                "another folder"
            )


def digest_of(file: Path) -> str:
    """SHA-256 of a file; of a folder (Zarr), of the digests of its files and their names."""
    if file.is_dir():
        held = sorted(path for path in file.rglob("*") if path.is_file())
        named = [f"{path.relative_to(file).as_posix()} {digest_of(path)}\n" for path in held]
        return hashlib.sha256("".join(named).encode()).hexdigest()
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _finish(folder: Path, old: tuple[str, ...], temporary: Path, _: Path) -> None:
    move_into(temporary, folder, old, RECORD)
