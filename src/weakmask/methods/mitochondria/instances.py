"""The instances stage: probabilities -> instances on each stack's own grid; validation chooses thresholds."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import cc3d
import numpy as np

from weakmask.csv_table import write_csv
from weakmask.methods.mitochondria.config import DecoderSettings, MitochondriaSettings
from weakmask.methods.mitochondria.probabilities import CHANNELS, map_file
from weakmask.methods.mitochondria.stack_index import VALIDATION, StackRow, evaluated_rows, labels_file, read_index
from weakmask.methods.mitochondria.working_stack import enlarged
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.refinement.instance_search import Decoder, Example, decoders, search_decoder
from weakmask.refinement.instance_table import instance_table
from weakmask.refinement.instances import voxels_of_nm3
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Float3
from weakmask.volume.stack_files import write_stack

OWN, COMPONENTS = "instances", "components"  # folders: of the decoder, and of the mask alone
LEAST_FACTORS = (1.0, 4.0, 16.0)  # times `decoder.least_nm3`, in the search
DECODERS = "decoders.json"


def instances(work: Work[MitochondriaSettings]) -> None:
    """Write decoders.json, search-*.csv, instances/NAME.tif, components/NAME.tif and instances/NAME.csv."""
    settings, prepared = work.config.decoder, work.stage("prepare")
    index = read_index(prepared)
    own = decoder_of(settings, index[0].working_nm)
    chosen = {OWN: own, COMPONENTS: replace(own, method="components")}
    examples = _examples(work, index) if settings.search else []
    if settings.search and not examples:
        work.note(
            "decoder.search is true and no validation section has an instance: thresholds are those of the config"
        )
    if examples:
        least = [factor * chosen[OWN].least_voxels for factor in LEAST_FACTORS]
        for of, decoder in chosen.items():
            found = search_decoder(examples, decoders(decoder.method, least), settings.criterion)
            chosen[of] = found.best
            write_csv(found.table, work.out / f"search-{of}.csv", "%.6g")
    (work.out / DECODERS).write_text(json.dumps({of: asdict(one) for of, one in chosen.items()}, indent=2) + "\n")
    rows = evaluated_rows(prepared)
    for row in track(rows, "instances", len(rows)):
        _decode(work, row, chosen)


def decoder_of(settings: DecoderSettings, spacing_nm: Float3) -> Decoder:
    """The decoder of the settings, for a grid."""
    return Decoder(
        settings.method,
        settings.seed,
        settings.contour,
        settings.mask,
        settings.grow_pixels,
        voxels_of_nm3(settings.least_nm3, spacing_nm),
    )


def read_decoders(folder: Path) -> Mapping[str, Decoder]:
    """The decoders that this stage chose, by folder."""
    read = json.loads((folder / DECODERS).read_text(encoding="utf-8"))
    return {of: Decoder(**values) for of, values in read.items()}


def _maps(work: Work[MitochondriaSettings], row: StackRow) -> tuple[np.ndarray, np.ndarray]:
    mask, contour = (read_volume(map_file(work.stage("probabilities"), row, of)).voxels for of in CHANNELS)
    return mask, contour


def _examples(work: Work[MitochondriaSettings], index: list[StackRow]) -> list[Example]:
    """Maps and instances of the validation sections; none where these hold no instance."""
    found: list[Example] = []
    instances = 0
    for row in index:
        if row.held_out == VALIDATION and row.training_sections < row.sections:
            labels = read_volume(labels_file(work.stage("prepare"), row), "label").voxels[row.held_out_sections]
            pieces = np.asarray(cc3d.connected_components(labels.astype(np.int32), connectivity=6))
            instances += int(pieces.max())
            found.append((*_maps(work, row), pieces))  # a body may be parted by the border of the sections
    return found if instances else []


def _decode(work: Work[MitochondriaSettings], row: StackRow, chosen: Mapping[str, Decoder]) -> None:
    """Write the instances of a stack, and the table of those of the decoder."""
    mask, contour = _maps(work, row)
    for of, decoder in chosen.items():
        labels = enlarged(decoder.decode(mask, contour), mask, decoder, row.binning, row.held_out_shape)
        (work.out / of).mkdir(exist_ok=True)
        write_stack(labels, work.out / of / f"{row.scan}.tif", row.spacing_nm)
        if of == OWN:
            write_csv(instance_table(labels, row.spacing_nm), work.out / of / f"{row.scan}.csv", "%.6g")
