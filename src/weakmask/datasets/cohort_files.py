"""The image, region and truth files of a cohort folder, by the name of the image."""

from collections.abc import Collection, Iterator
from pathlib import Path

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.datasets.case import Case, Fault, TruthKind
from weakmask.datasets.cohort_labels import ImageLabels
from weakmask.datasets.table_cells import nearest
from weakmask.datasets.usable_truth import read_truth_kind
from weakmask.errors import UserError
from weakmask.volume.scan_files import entries_by_name, has_series

TRUTH = ("truth", "lesions")  # the second is the older name of the folder
LOBES = NUMBERINGS["weakmask"].keys()


class CohortFiles:
    """The files of a cohort.

    Attributes:
        folder: The cohort.
        images: Name -> the files and DICOM folders with that name in images/.
        regions: Likewise in regions/. An empty folder is as good as none.
        truth: Likewise in truth/, or in lesions/.
        truth_folder: The name of the folder with the truth.
        truth_kind: Kind of the truth from truth.yaml.
    """

    def __init__(self, folder: Path) -> None:
        """List the folders.

        Raises:
            UserError: No such folder, no images/ in it, two folders of truth, or a truth.yaml that cannot be read.
        """
        if not folder.is_dir():
            here = "" if folder.is_absolute() else f" in {Path.cwd()}"  # of a run that was trained elsewhere
            raise UserError(
                f"{folder}: no such folder{here}; expected a cohort with scores.csv or labels.csv, and images/"
            )
        if not (folder / "images").is_dir():
            raise UserError(f"{folder}: no folder images/ in it; expected scores.csv or labels.csv, and images/")
        self.folder = folder
        self.images = entries_by_name(folder / "images")
        self.regions = entries_by_name(folder / "regions", self.images)
        truths = {name: found for name in TRUTH if (found := entries_by_name(folder / name, self.images))}
        if len(truths) > 1:
            raise UserError(f"{folder}: two folders with the truth, truth/ and lesions/; keep the one that is right")
        self.truth_folder, self.truth = next(iter(truths.items()), (TRUTH[0], {}))
        stated = (folder / "truth.yaml").exists()
        self.truth_kind: TruthKind = read_truth_kind(folder / "truth.yaml") if stated else "subtypes"

    def case(
        self, name: str, labels: ImageLabels, table: str, names: Collection[str]
    ) -> tuple[Case | None, list[Fault]]:
        """A case, or None and the missing part.

        Args:
            name: The image's.
            labels: Its labels in the tables.
            table: The name of these tables, for messages; empty if there are none.
            names: The names of the cohort's regions, for a hint how to make them.
        """
        faults: list[Fault] = []
        image = self._only(name, "images", self.images, faults, fatal=True)
        regions = self._only(name, "regions", self.regions, faults, fatal=True)
        truth = self._only(name, self.truth_folder, self.truth, faults, fatal=False)
        remedy = f"take {name} out of {table}"
        if name not in self.images:
            hint = nearest(name, list(self.images), f"add images/{name}.nii.gz or {remedy}")
            faults.append(Fault(name, f"images/{name}", f"images/{name}: no such file; {hint}", fatal=True))
        if self.regions and name not in self.regions and labels.needs_regions:
            lobes = f", or run `weakmask lobes {self.folder / 'images'} --out {self.folder / 'regions'}`"
            makeable = LOBES & {region.upper() for region in names}
            otherwise = f"add regions/{name}.nii.gz or {remedy}{lobes if makeable else ''}"
            hint = nearest(name, [other for other in self.regions if other not in self.images], otherwise)
            faults.append(Fault(name, f"regions/{name}", f"regions/{name}: no such file; {hint}", fatal=True))
        if image is None or any(fault.fatal for fault in faults):
            return None, faults
        series = labels.series if labels.series and has_series(image) else None
        if labels.series and series is None:
            text = (
                f"images/{image.name}: {table} names its series {labels.series!r}; it is not DICOM, and is read whole"
            )
            faults.append(Fault(name, f"images/{image.name}", text, fatal=False))
        scores, kind = dict(labels.scores), self.truth_kind
        return Case(name, image, regions, truth, scores, labels.patient, labels.presence, kind, series), faults

    def unlabelled(self, known: Collection[str], table: str) -> Iterator[Fault]:
        """Notes on images that no row names; nothing is wrong with them, they are just not used."""
        for name, paths in self.images.items():
            if name not in known:
                file = f"images/{paths[0].name}"
                yield Fault(name, file, f"{file}: no row in {table} names {name}; the image is not used", fatal=False)

    def _only(
        self, name: str, folder: str, by_name: dict[str, list[Path]], faults: list[Fault], *, fatal: bool
    ) -> Path | None:
        """The one file of this name; of several, none, and a fault."""
        paths = by_name.get(name, [])
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            file = f"{folder}/{paths[0].name}"
            faults.append(Fault(name, file, f"{file}: {name} has two files here, {names}; keep one", fatal=fatal))
        return paths[0] if len(paths) == 1 else None
