"""`weakmask to-dicom`: masks that are there, of `predict` or of any other tool -> DICOM objects of their scans.

OUT/NAME/dicom/
  lesions.dcm  regions.dcm  scores.dcm  picture.dcm
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.commands.evaluate import find_mask
from weakmask.commands.output_folder import open_output
from weakmask.commands.scan_jobs import Done, ScanJob, chosen_scans, each_scan, find_jobs, find_scans
from weakmask.errors import MachineError, UserError
from weakmask.inference.dicom_export import add_dicom, finding_names, identity_of
from weakmask.inference.result_files import digest_of
from weakmask.inference.scan_record import ScanRecord, read_record
from weakmask.inference.statistics import region_statistics
from weakmask.pacs.result_objects import FOLDER, ResultForPacs, write_objects
from weakmask.pacs.source_series import read_source
from weakmask.prediction import Prediction
from weakmask.regions.scan_regions import RegionSource, read_regions
from weakmask.report.preview import preview_pixels
from weakmask.report.scan_view import LUNG_WINDOW, ScanView
from weakmask.volume.dicom_header import is_dicom
from weakmask.volume.files import read_volume
from weakmask.volume.scan_files import ScanFile
from weakmask.volume.volume import Volume

OBJECTS = ("lesions.dcm", "regions.dcm", "scores.dcm", "picture.dcm")


@dataclass(frozen=True)
class _Request:
    """A request for DICOM objects.

    Attributes:
        masks: A folder of masks, or one mask.
        out: The folder to write.
        regions: Where region masks lie; without masks none are used.
        method: Name of the tool that made the masks.
        labelmap: Whether masks are written in the small form.
        alone: Whether there is one scan, whose mask may have any name.
    """

    masks: Path
    out: Path
    regions: RegionSource
    method: str
    labelmap: bool
    alone: bool

    def write(self, results: Mapping[str, tuple[Path, ScanRecord]], job: ScanJob) -> list[str]:
        """Write the objects of one scan, of a result of `predict` where there is one."""
        source = read_source(job.image, job.series)
        folder, record = results.get(source.uid, (None, None))
        if folder is not None and record is not None and self.out == self.masks:
            written = add_dicom(folder, record, source, self.method, labelmap=self.labelmap)
            return [name for name in written.files if name.startswith(FOLDER)]
        path = find_mask(self.masks, job.name, alone=self.alone) if folder is None else folder / "mask.nii.gz"
        if path is None:
            raise UserError(f"{self.masks}: no mask {job.name}.nii.gz for the scan {job.name}")
        image = read_volume(job.image, series=job.series)
        mask = source.on_grid(read_volume(path, "label"), str(path))
        regions, names = self._regions(job, image)
        found = Prediction(mask, {}, regions, ())
        view = ScanView(job.name, image, LUNG_WINDOW, mask=mask, regions=regions, region_names=names)
        statistics = region_statistics(image, found, names, hounsfield=True)
        made = ResultForPacs(mask, finding_names(mask), regions, names, statistics, preview_pixels(view))
        digest = f"{digest_of(path)} {self.method} {self.labelmap} {sorted(names.items())}"
        written = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(path.stat().st_mtime))
        identity = identity_of(digest, self.method, written)
        return write_objects(self.out / job.name / FOLDER, made, source, identity, labelmap=self.labelmap)

    def _regions(self, job: ScanJob, image: Volume) -> tuple[Volume | None, Mapping[int, str]]:
        """The region mask of a scan, and the names of its labels."""
        numbering = self.regions.numbering or "weakmask"
        names = (
            {label: name for name, label in NUMBERINGS[numbering].items()} if isinstance(numbering, str) else numbering
        )
        if self.regions.masks is None:
            return None, {}
        return read_regions(self.regions.mask_of(*job.masks), image, names), names


def write_dicom(
    masks: Path,
    source: Path,
    out: Path | None = None,
    regions: RegionSource | None = None,
    series: Sequence[str] = (),
    method: str = "mask",
    *,
    labelmap: bool = False,
) -> Done[list[str]]:
    """Write DICOM objects for each scan that has a mask; a faulty one is named in one line and the others go on.

    Args:
        masks: The folder of `predict`'s results, or of masks NAME.nii.gz or NAME/mask.nii.gz, or one mask.
        source: The DICOM scans.
        out: The folder to write; None: the folder of the masks.
        regions: Where region masks lie; results of `predict` have their own.
        series: UIDs, numbers or descriptions of the series to use where a folder holds several.
        method: Name of the tool that made the masks.
        labelmap: Write masks in the small form that older viewers do not know.

    Returns:
        The files of each scan.

    Raises:
        UserError: No masks, no scans, an object that would replace a file of the user's, or every scan failed.
    """
    if not masks.exists():
        raise UserError(f"{masks}: no such mask or folder; expected results of `weakmask predict`, or masks")
    place = out or (masks if masks.is_dir() else masks.parent)
    jobs, twice = find_jobs(_dicom_scans(source, series), partial(_outputs, place))
    results = _results(masks) if masks.is_dir() else {}
    request = _Request(masks, place, regions or RegionSource(), method, labelmap, len(jobs) == 1)
    own = {file for folder, _ in results.values() for file in (folder / FOLDER).glob("*.dcm")}
    files = [file for job in jobs for file in job.outputs.values() if file not in own]
    opened = open_output(place, "to-dicom", files, [job.image for job in jobs])
    try:
        done = each_scan(jobs, "DICOM", partial(request.write, results))
    except (UserError, MachineError):
        opened.forget()
        raise
    return Done(done.results, (*twice, *done.failures))


def _dicom_scans(source: Path, series: Sequence[str]) -> list[ScanFile]:
    """The DICOM scans of a folder; files of other formats may lie beside them.

    Raises:
        UserError: The path does not exist, or holds no DICOM images.
    """
    chosen = chosen_scans([source], series)
    found = [scan for one in chosen for scan in ([one] if isinstance(one, ScanFile) else find_scans(one))]
    scans = [scan for scan in found if scan.path.is_dir() or is_dicom(scan.path)]
    if not scans:
        raise UserError(f"{source}: holds no DICOM images; expected the folder of the scans that the masks belong to")
    return scans


def _outputs(out: Path, name: str, _: Path) -> dict[str, Path]:
    return {file: out / name / FOLDER / file for file in OBJECTS}


def _results(masks: Path) -> dict[str, tuple[Path, ScanRecord]]:
    """UID of a series -> folder and record of its result."""
    records = {folder: read_record(folder) for folder in sorted(masks.iterdir()) if folder.is_dir()}
    return {
        record.ids["series_uid"]: (folder, record)
        for folder, record in records.items()
        if record is not None and record.ids.get("series_uid")
    }
