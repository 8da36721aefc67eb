"""The verbs that take scans or masks; each calls one function."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from weakmask.cli_options import Device, Json, Names, Precision, Ray, Scans, Seed, Series, Workers, verb_of
from weakmask.screen import exit_if_any, print_exported, print_json_line, print_notes, print_summary
from weakmask.terminal import out, print_line

scans = typer.Typer()
verb = verb_of(scans)


@verb("predict runs/mine new_scan.nii.gz --out masks/")
def predict(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    model: Annotated[Path, typer.Argument(help="Run folder of `weakmask train`, or a model.safetensors file.")],
    paths: Annotated[
        list[str], typer.Argument(help="Image files, DICOM folders, folders of scans, or 'dicomweb://HOST/?study=UID'.")
    ],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, scores.csv and report.html.")],
    regions: Annotated[
        Path | None, typer.Option(help="Region mask, or a folder of them.", show_default="lobes or lungs are found")
    ] = None,
    numbering: Annotated[str | None, typer.Option(help="Tool that numbered the regions: totalsegmentator, ...")] = None,
    lobe_model: Annotated[Path | None, typer.Option(help="Network that finds lobes.", show_default="included")] = None,
    device: Device = "auto",
    memory_gb: Annotated[float, typer.Option(min=0.1, help="Memory limit for networks that take whole scans.")] = 4.0,
    precision: Annotated[Precision, typer.Option(help="Number format of maps; 16 bits need half the memory.")] = "auto",
    subtypes: Annotated[Path | None, typer.Option(help="Table of subtypes-table; names lesions' subtypes.")] = None,
    series: Series = None,
    names: Names = "path",
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each scan, and no table.")] = False,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Also write DICOM SEG, SR and a picture of DICOM scans.")
    ] = False,
    labelmap: Annotated[
        bool, typer.Option("--labelmap", help="DICOM masks in the small form; needs new viewers.")
    ] = False,
    viewer: Annotated[bool, typer.Option("--viewer", help="Also write NAME/view.html, a page to scroll in.")] = False,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Also store DICOM results at a server: dicomweb://HOST:PORT/PATH.")
    ] = None,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Segment new scans: a mask per scan, a score per region, a report. The same command again skips what is done."""
    from weakmask.commands.predict import Asked, RegionSource
    from weakmask.commands.predict import predict as segment_scans
    from weakmask.commands.result_sending import target_of
    from weakmask.commands.server_scans import gather_scans
    from weakmask.inference.trained_model import load
    from weakmask.ray_cluster import Cluster

    target = target_of(store)
    source = RegionSource(regions, numbering, lobe_model)
    loaded = load(model, device, memory_gb, precision, subtypes)
    asked = Asked(names, "labelmap" if labelmap else "bits" if dicom or store else "", viewer=viewer, target=target)
    asked = replace(asked, listener=print_json_line) if as_json else asked
    gathered = gather_scans(paths, series or (), folder)
    for line in gathered.failures:
        asked.listener({"scan": "", "state": "left out", "image": "", "error": line})
    cluster = Cluster.of(ray, workers, device)
    done = segment_scans(loaded, gathered.scans, folder, source, device, asked, cluster)
    print_notes(done.notes)
    if not as_json:
        print_summary(done.scores)
        print_line(f"masks: {' and '.join(done.masks)}; report: {folder / 'report.html'}")
    exit_if_any((*gathered.failures, *done.failures), done.unsent)


@verb("listen runs/mine --out results/ --aet WEAKMASK --port 11112 --peers PACS --store dicomweb://pacs:8042/dicom-web")
def listen(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    model: Annotated[Path, typer.Argument(help="Run folder of `weakmask train`, or a model.safetensors file.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the images and the results.")],
    peers: Annotated[str, typer.Option(metavar="AET,...", help="AE titles of the nodes that may send images.")],
    aet: Annotated[str, typer.Option(help="AE title of this listener.")] = "WEAKMASK",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: any.")] = 11112,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: from other machines, too.")] = "127.0.0.1",
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Store results at a server: dicomweb://HOST:PORT/PATH.")
    ] = None,
    send: Annotated[
        str | None, typer.Option(metavar="[tls://]AET@HOST:PORT", help="Send results to a DICOM node instead.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Certificate of this node, PEM; listens with TLS.", show_default="no TLS")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.", show_default="in the same file")] = None,
    tls_authorities: Annotated[
        Path | None, typer.Option(help="Certificates of the authorities that sign those of other nodes.")
    ] = None,
    tls_any_peer: Annotated[bool, typer.Option("--tls-any-peer", help="Peers need no certificate.")] = False,
    series: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Segment these numbers or descriptions of series alone.")
    ] = None,
    quiet_after: Annotated[float, typer.Option(min=0.0, help="Seconds without new images that end a series.")] = 30.0,
    max_gigabytes: Annotated[float, typer.Option(min=0.0, help="Size of --out at which images are refused.")] = 100.0,
    lobe_model: Annotated[Path | None, typer.Option(help="Network that finds lobes.", show_default="included")] = None,
    device: Device = "auto",
    memory_gb: Annotated[float, typer.Option(min=0.1, help="Memory limit for networks that take whole scans.")] = 4.0,
    precision: Annotated[Precision, typer.Option(help="Number format of maps; 16 bits need half the memory.")] = "auto",
    labelmap: Annotated[
        bool, typer.Option("--labelmap", help="DICOM masks in the small form; needs new viewers.")
    ] = False,
    viewer: Annotated[bool, typer.Option("--viewer", help="Also write UID/view.html, a page to scroll in.")] = False,
) -> None:
    """Segment every series that a PACS sends (C-STORE), and send the results back; events are lines of JSON."""
    from weakmask.commands.listen import Wishes
    from weakmask.commands.listen import listen as listen_and_segment
    from weakmask.commands.predict import Asked, RegionSource
    from weakmask.commands.result_sending import target_of
    from weakmask.inference.trained_model import load
    from weakmask.pacs.dicom_listener import Node
    from weakmask.pacs.dicom_tls import Certificates

    files = Certificates(tls_certificate, tls_key, tls_authorities, tls_any_peer)
    node = Node(aet, tuple(title.strip() for title in peers.split(",")), host, port, files.of_listener())
    target = target_of(store, send, aet, files)
    asked = Asked(objects="labelmap" if labelmap else "bits", viewer=viewer, target=target)
    wishes = Wishes(quiet_after, max_gigabytes * 1e9, tuple(series or ()), asked)
    loaded = load(model, device, memory_gb, precision)
    listen_and_segment(loaded, folder, node, wishes, RegionSource(None, None, lobe_model), print_json_line)


@verb("view runs/mine scan_1")
def view(
    results: Annotated[
        Path, typer.Argument(help="Results of `weakmask predict` (a scan's folder, or all), a run, or a mask.")
    ],
    names: Annotated[
        list[str] | None, typer.Argument(help="Scans of a run or of results.", show_default="a run's are listed")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Image of a mask of any tool.", show_default="recorded")] = None,
    truth: Annotated[Path | None, typer.Option(help="True mask to show beside a mask.", show_default="none")] = None,
    file: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML file for a mask.", show_default="beside it")
    ] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Write a page in which a result is scrolled: three planes and 3-D, mask, regions, truth; one offline file."""
    import webbrowser

    from weakmask.commands.view import write_pages
    from weakmask.commands.view_run import is_run, test_scans

    if is_run(results) and not names and image is None:
        for name in test_scans(results):
            print_line(name)
        return
    pages = write_pages(results, names or (), image, truth, file)
    for page in pages:
        print_line(f"page: {page}")
    if browser:
        webbrowser.open(pages[0].absolute().as_uri())


@verb("to-dicom masks/ --source study/")
def to_dicom(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    masks: Annotated[Path, typer.Argument(help="Results of `weakmask predict`, or masks of any tool.")],
    source: Annotated[Path, typer.Option(help="Folder of the DICOM scans that the masks were made from.")],
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write NAME/dicom into.", show_default="of the masks")
    ] = None,
    regions: Annotated[Path | None, typer.Option(help="Region mask, or a folder of them.", show_default="none")] = None,
    numbering: Annotated[str | None, typer.Option(help="Tool that numbered the regions: totalsegmentator, ...")] = None,
    series: Series = None,
    method: Annotated[str, typer.Option(help="Name of the tool that made the masks.")] = "weakmask",
    labelmap: Annotated[
        bool, typer.Option("--labelmap", help="DICOM masks in the small form; needs new viewers.")
    ] = False,
) -> None:
    """Write masks as DICOM: segmentations (SEG), a report of volumes and scores (SR), and a picture for any viewer."""
    from weakmask.commands.to_dicom import RegionSource, write_dicom

    source_of = RegionSource(regions, numbering)
    done = write_dicom(masks, source, folder, source_of, series or (), method, labelmap=labelmap)
    for job, files in done.results:
        print_line(f"{job.name}: {', '.join(files)}")
    exit_if_any(done.failures)


@verb("lobes cohort/images --out cohort/regions")
def lobes(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    paths: Scans,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, for example cohort/regions.")],
    model: Annotated[Path | None, typer.Option(help="Run folder or model file.", show_default="included")] = None,
    device: Device = "auto",
    series: Series = None,
    names: Names = "path",
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Find the five lung lobes in chest CT scans and write them as masks; doubtful ones get a warning."""
    from weakmask.commands.lobes import write_lobe_masks
    from weakmask.commands.scan_jobs import chosen_scans
    from weakmask.ray_cluster import Cluster

    cluster = Cluster.of(ray, workers, device)
    done = write_lobe_masks(chosen_scans(paths, series or ()), folder, model, device, names, cluster)
    print_summary(done.table)
    exit_if_any(done.failures)


@verb("evaluate masks/ cohort/ --out judged/")
def evaluate(
    masks: Annotated[Path, typer.Argument(help="Folder of masks: NAME.nii.gz or NAME/mask.nii.gz, made by any tool.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder with the true masks in truth/.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for results.csv and summary.csv.")],
    name: Annotated[str, typer.Option(help="Name of the method in the tables.")] = "prediction",
    as_json: Json = False,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Compare masks of any tool with true masks: overlap (Dice, IoU) and agreement of the scores (kappa)."""
    from weakmask.commands.evaluate import evaluate_masks
    from weakmask.ray_cluster import Cluster

    summary = evaluate_masks(masks, cohort, folder, name, Cluster.of(ray, workers, "cpu"))
    if as_json:
        out.print_json(summary.to_json(orient="records"))
    else:
        print_summary(summary)


@verb("export-nnunet cohort/ --out nnUNet_raw --dataset-id 501")
def export_nnunet(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    cohort: Annotated[Path, typer.Argument(help="Cohort folder to train on, with the true masks in truth/.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder that nnU-Net calls nnUNet_raw.")],
    dataset_id: Annotated[int, typer.Option(help="Data set number, 1 to 999; nnU-Net's own examples use 1 to 10.")],
    name: Annotated[str, typer.Option(help="Name of the data set.")] = "Lesions",
    test: Annotated[Path | None, typer.Option(help="Cohort folder whose images nnU-Net shall segment.")] = None,
    channel: Annotated[str, typer.Option(help="CT: Hounsfield units. Any other name: nnU-Net uses z-scores.")] = "CT",
    subtypes: Annotated[bool, typer.Option("--subtypes", help="Export the subtypes 1, 2, 3 as classes.")] = False,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation; a patient is never in two.")] = 5,
    seed: Seed = 0,
) -> None:
    """Write a cohort in the format of nnU-Net, a fully supervised method to compare with."""
    from weakmask.datasets.nnunet import NnunetDataset, export_nnunet

    written = export_nnunet(cohort, folder, NnunetDataset(dataset_id, name, channel, subtypes, folds, seed), test)
    print_exported(written, dataset_id)


@verb("subtypes-table cohort/ --out subtypes.csv")
def subtypes_table(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder whose masks in truth/ label the subtypes 1, 2, 3.")],
    file: Annotated[Path, typer.Option("--out", "-o", help="CSV file to write.")],
) -> None:
    """Measure lesions of known subtype, so that `predict --subtypes` can tell new ones apart."""
    from weakmask.commands.subtypes import build_subtype_table

    print_summary(build_subtype_table(cohort, file))
