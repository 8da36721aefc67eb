"""The readers of the package, each with whole files to damage: a file that a reader takes, and how it is read."""

import gzip
import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from enhanced_ct import write_enhanced
from malformed_files import dicom_slice, image_file, series
from PIL import Image

from weakmask.config import read_yaml, with_overrides
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.splits import read_splits
from weakmask.evaluation.overlap import Overlap
from weakmask.evaluation.table import read_results, result_rows, results_table
from weakmask.methods import load_config, load_segmenter
from weakmask.pipeline import read_manifest
from weakmask.scoring.subtype_reference import read_reference
from weakmask.volume.files import read_volume
from weakmask.volume.stack_files import write_stack
from weakmask.volume.volume import Volume

Pack = Callable[[bytes], bytes]
PROJECT = Path(__file__).resolve().parents[2]
MIXED = np.random.default_rng(0).integers(-1000, 400, (6, 7, 8)).astype(np.int16)
YAML_WORDS = (
    b"&a [*a, *a]", b"*a", b"!!int ", b"!!timestamp x", b"!!python/object/apply:os.system [ls]", b"[" * 60, b"{a: ",
    b"? ", b"<<: ", b"\t", b"- ", b": ", b"'", b'"', b"\xff", b"...\n", b"---\n", b"2020-02-30", b"~", b".nan",
    b"1e400",
)  # fmt: skip
JSON_WORDS = (
    b"[" * 60, b'{"a":', b"NaN", b"Infinity", b"null", b"[]", b"{}", b'"x"', b"-1", b"1e999", b"true", b",", b"9" * 60,
)  # fmt: skip
CSV_WORDS = (b",", b'"', b"\n", b"\r", b";", b"\t", b"=1+1", b"../", b"\x00", b"\xef\xbb\xbf", b"LUL", b"NA", b",,,,")
META_WORDS = (b"/etc/passwd", b"LIST", b"%03d", b"CompressedData = True\n", b"data file: x\n", b"NDims = 9\n", b"\n\n")


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes:
        read: Path of the damaged file -> anything, or a UserError.
        name: Of the file.
        seeds: Whole files, before `pack`.
        words: Pieces of the format to put in.
        pack: Wraps the damaged content: gzip, for example. The content is damaged, and the wrapping is right.
        around: Makes the files that must lie beside it, in the folder.
    """

    read: Callable[[Path], object]
    name: str
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()
    pack: Pack = bytes
    around: Callable[[Path], None] = field(default=lambda folder: None)


def targets(folder: Path, model: bytes) -> dict[str, Target]:
    """All readers.

    Args:
        folder: A folder for the making of seeds.
        model: A small model file that `load_segmenter` takes.
    """
    image = partial(_image_bytes, folder)
    labels = (MIXED > 0).astype(np.uint8)
    found = {
        "nii": Target(read_volume, "s.nii", [image("a.nii")]),
        "nii as labels": Target(partial(read_volume, kind="label"), "s.nii", [image("l.nii", labels)]),
        "nii.gz": Target(read_volume, "s.nii.gz", [image("a.nii.gz")]),
        "nii inside gz": Target(read_volume, "s.nii.gz", [image("b.nii")], pack=partial(gzip.compress, mtime=0)),
        "nrrd": Target(read_volume, "s.nrrd", [image("a.nrrd")], META_WORDS),
        "nrrd as labels": Target(partial(read_volume, kind="label"), "s.nrrd", [image("l.nrrd", labels)], META_WORDS),
        "nrrd packed": Target(read_volume, "s.nrrd", [image("p.nrrd", packed=True)], META_WORDS),
        "mha": Target(read_volume, "s.mha", [image("a.mha")], META_WORDS),
        "mha packed": Target(read_volume, "s.mha", [image("p.mha", packed=True)], META_WORDS),
        "mhd": Target(read_volume, "s.mhd", [_mhd(folder)], META_WORDS, around=_raw_beside),
        "png": Target(read_volume, "s.png", [_picture("PNG", mode) for mode in ("L", "RGB", "P", "RGBA", "I;16")]),
        "png as labels": Target(partial(read_volume, kind="label"), "s.png", [_picture("PNG", m) for m in ("L", "P")]),
        "jpg": Target(read_volume, "s.jpg", [_picture("JPEG", mode) for mode in ("L", "RGB", "CMYK")]),
        "dcm": Target(read_volume, "s.dcm", [_dicom(folder)]),
        "dcm of frames": Target(read_volume, "s.dcm", [_frames(folder, packed=False), _frames(folder, packed=True)]),
        "DICOM series": Target(_folder_of, "s.dcm", [_dicom(folder)], around=partial(_slices_beside, folder)),
    }
    return found | _stacks(folder) | _tables() | _settings() | _models(model)


def _stacks(folder: Path) -> dict[str, Target]:
    def written(name: str) -> bytes:
        write_stack((MIXED + 1000).astype(np.uint16), folder / name, (30, 8, 8), np.uint16)
        return (folder / name).read_bytes()

    notes = json.dumps({"image": ["s0.png", "s1.png"], "depth": 2, "height": 9, "width": 11, "tile_ratio": 1}).encode()
    tiles = json.dumps({"image": ["s{row}.png"] * 2, "depth": 2, "height": 9, "width": 11, "tile_size": 11}).encode()
    write_stack(MIXED, folder / "s.zarr", dtype=np.int16)
    inner = (folder / "s.zarr" / "0" / ".zarray").read_bytes()
    return {
        "tif": Target(read_volume, "s.tif", [written("t.tif"), _pages(folder)]),
        "h5": Target(read_volume, "s.h5", [written("t.h5")]),
        "zarr": Target(
            lambda path: read_volume(path.parent),
            ".zarray",
            [inner],
            JSON_WORDS,
            around=partial(_chunks_beside, folder),
        ),
        "tile list": Target(read_volume, "s.json", [notes], JSON_WORDS, around=_sections_beside),
        "tiles": Target(read_volume, "s.json", [tiles], JSON_WORDS, around=_sections_beside),
    }


def _pages(folder: Path) -> bytes:
    """Plain pages, as Pillow writes them."""
    pages = [Image.fromarray(np.full((9, 11), 40 * n, np.uint8)) for n in range(3)]
    pages[0].save(folder / "p.tif", save_all=True, append_images=pages[1:])
    return (folder / "p.tif").read_bytes()


def _chunks_beside(seeds: Path, folder: Path) -> None:
    for file in (seeds / "s.zarr" / "0").iterdir():
        if file.name != ".zarray":
            shutil.copyfile(file, folder / file.name)


def _sections_beside(folder: Path) -> None:
    for number in range(2):
        (folder / f"s{number}.png").write_bytes(_picture("PNG", "L"))


def _tables() -> dict[str, Target]:
    scores = b"scan,region,score,patient\na,LUL,1,p1\na,LLL,0,p1\nb,LUL,2,p2\nb,RUL,5,p2\n"
    wide = b"scan,LUL,LLL,RUL,RML,RLL\na,0,1,2,3,4\nb,5,,0,1,2\n"
    labels = [b"image,label\na,cat\nb,dog\n", b"image,cat,dog\na,1,0\nb,0,1\n"]
    score_map = b"name: three steps\npercent:\n  0: [0, 0]\n  1: [0, 50]\n  2: [50, 100]\n"
    regions = [b"numbering: totalsegmentator\n", b"labels: {LUL: 1, LLL: 2, RUL: 3}\n"]
    counted = {"a": Overlap(1, 2, 3, 4), "b": Overlap(0, 0, 1, 9)}
    rows = [row for scan, found in counted.items() for row in result_rows("m", scan, {"all": found}, scan)]
    results = results_table(rows).to_csv(index=False).encode()
    reference = b"subtype,volume_ml,mean_hu,sd_hu\nground-glass,1.5,-600,80\nconsolidation,3.5,20,40\n"
    splits = b"fold,scan,part\n0,a,train\n0,b,validation\n0,c,test\n"
    sheet = _sheet(scores)
    return {
        "scores.csv": Target(_cohort_of, "scores.csv", [scores, wide], CSV_WORDS, around=_cohort_beside),
        "labels.csv": Target(_cohort_of, "labels.csv", labels, CSV_WORDS, around=_images_beside),
        "xlsx": Target(_cohort_of, "scores.xlsx", [sheet], around=_images_beside),
        "xlsx, its sheet": Target(
            _cohort_of, "scores.xlsx", [_part_of(sheet)], (b"<c>", b"</row>", b'r="ZZZ9"', b"<!ENTITY a 'b'>"),
            pack=partial(_with_part, sheet), around=_images_beside,
        ),
        "scores.yaml": Target(_cohort_of, "scores.yaml", [score_map], YAML_WORDS, around=_cohort_beside),
        "regions.yaml": Target(_cohort_of, "regions.yaml", regions, YAML_WORDS, around=_cohort_beside),
        "truth.yaml": Target(_cohort_of, "truth.yaml", [b"kind: subtypes\n"], YAML_WORDS, around=_cohort_beside),
        "results.csv": Target(read_results, "results.csv", [results], CSV_WORDS),
        "subtypes.csv": Target(read_reference, "subtypes.csv", [reference], CSV_WORDS),
        "splits.csv": Target(read_splits, "splits.csv", [splits], CSV_WORDS),
    }  # fmt: skip


def _settings() -> dict[str, Target]:
    configs = [path.read_bytes() for path in sorted((PROJECT / "configs").glob("*.yaml"))]
    manifest = json.dumps({"stages": [], "notes": ["a"], "inputs": {}}).encode()
    return {
        "config": Target(load_config, "config.yaml", configs, YAML_WORDS),
        "--set": Target(
            _override, "set.txt", [b"regression.steps=500", b"data.cohort=c/", b"maps.scales=[1, 2]"], YAML_WORDS
        ),
        "manifest.json": Target(lambda path: read_manifest(path.parent), "manifest.json", [manifest], JSON_WORDS),
    }


def _models(model: bytes) -> dict[str, Target]:
    length = struct.unpack("<Q", model[:8])[0]
    head, tensors = model[8 : 8 + length], model[8 + length :]
    return {
        "model bytes": Target(load_segmenter, "model.safetensors", [model]),
        "model header": Target(
            load_segmenter, "model.safetensors", [head], JSON_WORDS,
            pack=lambda text: struct.pack("<Q", len(text)) + text + tensors,
        ),
        "model settings": Target(
            load_segmenter, "model.safetensors", [json.loads(head)["__metadata__"]["weakmask"].encode()], JSON_WORDS,
            pack=lambda text: _with_settings(head, text) + tensors,
        ),
    }  # fmt: skip


def _with_settings(head: bytes, text: bytes) -> bytes:
    """A safetensors header whose own text is right and whose settings are damaged."""
    whole = json.loads(head)
    whole["__metadata__"]["weakmask"] = text.decode("utf-8", errors="replace")
    packed = json.dumps(whole).encode()
    return struct.pack("<Q", len(packed)) + packed


def _image_bytes(folder: Path, name: str, voxels: np.ndarray = MIXED, *, packed: bool = False) -> bytes:
    path = folder / name
    image_file(path, voxels)
    if packed:
        import SimpleITK as sitk  # noqa: PLC0415

        sitk.WriteImage(sitk.ReadImage(str(path)), str(path), useCompression=True)
    return path.read_bytes()


def _mhd(folder: Path) -> bytes:
    image_file(folder / "s.mhd", MIXED)
    return (folder / "s.mhd").read_bytes()


def _raw_beside(folder: Path) -> None:
    (folder / "s.raw").write_bytes(MIXED.tobytes())


def _picture(form: str, mode: str) -> bytes:
    grey = np.random.default_rng(1).integers(0, 255, (9, 11)).astype(np.uint8)
    image = Image.fromarray(grey.astype(np.uint16)) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def _dicom(folder: Path) -> bytes:
    path = folder / "one.dcm"
    dicom_slice(path, 3.0, "1.2.3.4")
    return path.read_bytes()


def _frames(folder: Path, *, packed: bool) -> bytes:
    scan = Volume.from_array(np.resize(MIXED, (3, 12, 14)), (2.5, 0.7, 0.7))
    return write_enhanced(folder / "frames.dcm", scan, packed=packed).read_bytes()


def _slices_beside(seeds: Path, folder: Path) -> None:
    kept = seeds / "slices"
    if not kept.exists():
        series(kept, [0.0, 1.0, 2.0])
    for file in kept.iterdir():
        shutil.copyfile(file, folder / file.name)


def _folder_of(path: Path) -> object:
    return read_volume(path.parent)


def _cohort_of(path: Path) -> object:
    return read_cohort(path.parent)


def _images_beside(folder: Path) -> None:
    for part in ("images", "regions"):
        (folder / part).mkdir(exist_ok=True)
        for name in ("a", "b"):
            (folder / part / f"{name}.nii.gz").touch()


def _cohort_beside(folder: Path) -> None:
    _images_beside(folder)
    if not (folder / "scores.csv").exists():
        (folder / "scores.csv").write_text("scan,region,score\na,LUL,1\nb,LUL,2\n")


def _override(path: Path) -> object:
    values = read_yaml(PROJECT / "configs" / "dram_ct.yaml")
    return with_overrides(values, [path.read_bytes().decode("utf-8", errors="surrogateescape")])


def _sheet(table: bytes) -> bytes:
    buffer = io.BytesIO()
    pd.read_csv(io.BytesIO(table)).to_excel(buffer, index=False)
    return buffer.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def _part_of(sheet: bytes) -> bytes:
    return zipfile.ZipFile(io.BytesIO(sheet)).read(SHEET)


def _with_part(sheet: bytes, part: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sheet)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, part if name == SHEET else old.read(name))
    return buffer.getvalue()
