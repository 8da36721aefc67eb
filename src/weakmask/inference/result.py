"""The result of a model for one image."""

import html
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weakmask.errors import UserError
from weakmask.inference.origin import Origin
from weakmask.inference.result_files import PREVIEW, TABLE, Content, layer_files, save_content
from weakmask.inference.scan_record import RECORD, ScanRecord
from weakmask.inference.statistics import region_statistics
from weakmask.inference.viewer_file import add_viewer
from weakmask.outgoing_text import escaped, file_name
from weakmask.pipeline import provenance
from weakmask.prediction import Kind, Prediction, Scan, Segmenter, value_rows
from weakmask.regions.segment_scan import is_empty
from weakmask.report.figures import data_uri
from weakmask.report.preview import preview
from weakmask.report.scan_view import ScanView
from weakmask.scoring.subtypes import subtype_volumes
from weakmask.volume.files import write_volume
from weakmask.volume.pictures import is_picture
from weakmask.volume.volume import Volume


@dataclass(frozen=True, eq=False)
class Result:
    """Mask, maps, regions and values of one image; in a notebook it shows itself.

    Attributes:
        scan: The image, with the regions that were used and their names.
        prediction: Output of the model.
        segmenter: The model.
        origin: Its model, settings and inputs.
        image: The file or folder of the image; None for a volume or an array.
        model_file: The file of the model; None for a model that is not in a file.
        ids: PatientID and UIDs of a DICOM image, by the names of their columns; empty for another.
        warnings: Notes on the image, its regions and the result, in order.
        seconds: Time of reading and segmenting.
        subtypes: Lesions by subtype; None if they were not classified.
    """

    scan: Scan
    prediction: Prediction
    segmenter: Segmenter
    origin: Origin
    image: Path | None = None
    model_file: Path | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    subtypes: Volume | None = None

    def __repr__(self) -> str:
        """One line: the scan, the shape of the mask, and the severity."""
        severity = "" if self.severity is None else f", severity {self.severity}"
        return f"Result({self.scan.name}, mask {self.mask!r}{severity}, {len(self.warnings)} warnings)"

    @property
    def mask(self) -> Volume:
        """0 outside, else a class, or an instance."""
        return self.prediction.mask

    @property
    def maps(self) -> Mapping[str, Volume]:
        """Activation maps in [0, 1] by name."""
        return self.prediction.maps

    @property
    def regions(self) -> Volume | None:
        """The regions that were used; None: none were needed."""
        return self.prediction.regions

    @property
    def kind(self) -> Kind:
        """Meaning of the labels of the mask."""
        return self.prediction.kind

    @property
    def instances(self) -> pd.DataFrame | None:
        """A row per instance, if the labels are instances and the model describes them."""
        return self.prediction.instances

    @property
    def table(self) -> pd.DataFrame:
        """One row per value, as in the scores.csv of `weakmask predict`: region, fraction, score_predicted."""
        return pd.DataFrame(self.rows).drop(columns="scan", errors="ignore")

    @property
    def severity(self) -> int | None:
        """The sum of the scores; None if the method gives none."""
        return self.prediction.severity

    @property
    def is_picture(self) -> bool:
        """Whether the image is a picture, without a size in mm."""
        return self.image is not None and is_picture(self.image)

    @property
    def is_empty(self) -> bool:
        """Whether the image has a region mask without a region, and so an empty mask."""
        return is_empty(self.scan)

    @property
    def window(self) -> tuple[float, float]:
        """Grey values that are black and white in pictures of it; of a picture all."""
        if self.is_picture or self.is_empty:
            return float(self.scan.image.voxels.min()), float(self.scan.image.voxels.max())
        return self.view().window_hu

    @cached_property
    def rows(self) -> list[dict[str, object]]:
        """The rows of scores.csv, with the volume of each subtype where lesions were classified."""
        rows = value_rows(self.scan.name, self.prediction.values)
        if self.subtypes is None or self.regions is None:
            return rows
        volumes = subtype_volumes(self.subtypes, self.regions)
        count = len(volumes)  # a value of the whole image comes behind those of the regions
        of_regions = zip(rows[:count], sorted(volumes), strict=True)
        return [*({**row, **volumes[label]} for row, label in of_regions), *rows[count:]]

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """Volumes, lesions and grey values: a row for each region and one for all, see `region_statistics`.

        There is none for pictures, whose pixels have no size, and for instances, which have a table of their own.
        """
        return pd.DataFrame(self.statistic_rows)

    @cached_property
    def statistic_rows(self) -> list[dict[str, Any]]:
        """The rows of `statistics`, as plain values."""
        if self.is_picture or self.kind == "instances" or self.is_empty:
            return []
        hounsfield = self.segmenter.needs_hounsfield
        return region_statistics(self.scan.image, self.prediction, self.scan.region_names, hounsfield=hounsfield)

    def view(self) -> ScanView:
        """The image and its layers, for a report or a picture."""
        shown, window = self.segmenter.shown(replace(self.scan, regions=self.regions))
        return ScanView(
            name=self.scan.name,
            image=shown,
            window_hu=window,
            mask=self.mask,
            activation=self.maps.get("activation"),
            regions=self.regions,
            region_names=self.scan.region_names,
        )

    def save(self, out: str | Path, *, dicom: bool = False, viewer: bool = False) -> Path:
        """Write the folder of the result, as `weakmask predict` does: complete or not at all.

        Args:
            out: The folder of all results; this one is OUT/NAME. An earlier result of the scan is replaced. Characters
                of the name that a folder cannot have become hyphens.
            dicom: Also write its DICOM objects; for an image that is DICOM.
            viewer: Also write view.html, a page to scroll in.

        Returns:
            The folder.

        Raises:
            UserError: A file is there that no result left, or that was changed since.
            MachineError: The folder cannot be written.
        """
        folder = Path(out) / file_name(self.scan.name)
        record = self.save_into(folder)
        if dicom and self.image is not None:
            from weakmask.inference.dicom_export import add_dicom  # noqa: PLC0415 (highdicom takes time to import)
            from weakmask.pacs.source_series import read_source  # noqa: PLC0415 (likewise)

            source = read_source(self.image, self.origin.settings.get("series"))
            record = add_dicom(folder, record, source, self.segmenter.about.title)
        elif dicom:
            raise UserError(f"{self.scan.name}: DICOM objects need a DICOM image; it was given as a volume or an array")
        if viewer:
            add_viewer(folder, record, self.scan.image)
        return folder

    def save_into(self, folder: Path, replaceable: Collection[str] = (), *, shared: bool = False) -> ScanRecord:
        """Write the folder of the result, whatever it is called.

        Args:
            folder: The folder.
            replaceable: Names of files that may be replaced although no record in the folder lists them.
            shared: Whether the folder holds other things, too.

        Raises:
            UserError: As `save`.
            MachineError: As `save`.
        """
        names = layer_files(self.kind, self.image)
        maps = {name: layer for name, layer in self._layers().items() if layer is not None and name in names}
        tables = {} if self.instances is None else {TABLE: self.instances}
        pictures = {PREVIEW: preview(self.view())} if "preview" in names and not self.is_empty else {}
        layers = {names[name]: partial(write_volume, layer) for name, layer in maps.items()}
        content = Content(layers, tables, pictures, self._record())
        return save_content(content, folder, [*names.values(), RECORD], replaceable, shared=shared)

    def _layers(self) -> dict[str, Volume | None]:
        """The volumes that a folder holds; the map of a picture in 255ths."""
        activation = self.maps.get("activation")
        if activation is not None and self.is_picture:
            activation = activation.with_voxels(np.rint(activation.voxels * 255).astype(np.uint8))
        return {"mask": self.mask, "activation": activation, "regions": self.regions, "subtypes": self.subtypes}

    def _record(self) -> ScanRecord:
        """The record, without the digests of files."""
        return ScanRecord(
            scan=self.scan.name,
            image="" if self.image is None else str(self.image.absolute()),
            model_file="" if self.model_file is None else str(self.model_file.absolute()),
            origin=self.origin,
            ids=dict(self.ids),
            rows=self.rows,
            statistics=self.statistic_rows,
            severity=self.severity,
            region_names={int(label): name for label, name in self.scan.region_names.items()},
            hounsfield=self.segmenter.needs_hounsfield and not self.is_picture,
            window=self.window,
            is_empty=self.is_empty,
            warnings=self.warnings,
            seconds=round(self.seconds, 3),
            files={},
            provenance=provenance(),
        )

    def _repr_html_(self) -> str:
        """The picture, the table and the warnings, for a notebook."""
        notes = "".join(f"<p>{html.escape(escaped(line))}</p>" for line in self.warnings)
        picture = ""
        if self.kind == "classes" and not self.is_empty:
            uri = data_uri(preview(self.view()), "image/webp")
            picture = f'<img style="max-width:100%" src="{uri}" alt="{html.escape(escaped(self.scan.name))}">'
        return f"<div>{picture}{self.table.to_html(index=False)}{notes}</div>"
