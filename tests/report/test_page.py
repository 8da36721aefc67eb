"""The page as a file: everything inside it, nothing of the user's taken for markup, worst first."""

import gc
import re
import weakref
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from weakmask.errors import MachineError, UserError
from weakmask.report.page import Page, scan_page, write_report

VOID = {"meta", "link", "img", "input", "br"}
SUMMARY = pd.DataFrame({"method": ["CAM", "dRAM"], "scans": [3, 3], "iou_mean": [0.3, 0.5], "kappa": [0.4, 0.5]})
MANIFEST = {"weakmask": "0.1.0", "stages": [{"stage": "01", "seconds": 3.0}], "notes": ["b was left out: no image"]}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture
def written(tmp_path):
    def write(page: Page) -> str:
        write_report(tmp_path / "report.html", page)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write


def test_a_figure_stands_below_the_table(written):
    page = Page("Run", "It ran.", table=SUMMARY, picture="data:image/webp;base64,AAAA", picture_caption="Six <scans>")
    shown = Reader(written(page))
    assert {"src": "data:image/webp;base64,AAAA", "alt": "Six <scans>"} in shown.all("img")
    assert "Six <scans>" in shown.words()
    assert "Examples" not in Reader(written(replace(page, picture=""))).words()


def full_page(*views) -> Page:
    return Page(
        title="dRAM on three scans",
        summary="It found most lesions.",
        tiles=(("mean IoU", "0.50"),),
        table=SUMMARY,
        views=views,
        curves=pd.DataFrame({"step": [1, 2], "total": [2.0, 1.0]}),
        config={"method": "dram", "seed": 1},
        methods_text="First paragraph.\n\nSecond paragraph.",
        provenance=MANIFEST,
        notes=("a was left out: broken",),
        table_caption="Three scans.",
    )


def test_everything_is_in_the_one_file(written, chest, picture):
    html = written(full_page(chest, picture))
    page = Reader(html)
    addresses = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "data", "action") if name in attrs]
    assert len(addresses) > 20
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not page.all("script")
    assert not page.all("iframe")
    assert "url(" not in html
    assert "@import" not in html
    assert not re.search(r"https?://", html)


def test_every_picture_has_words_and_every_jump_an_end(written, chest, picture):
    page = Reader(written(full_page(chest, *(replace(picture, name=name) for name in "bcd"))))
    assert all("alt" in attrs for attrs in page.all("img"))
    assert all(attrs["alt"] for attrs in page.all("img") if attrs.get("class") != "tint")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    jumps = {attrs["href"][1:] for attrs in page.all("a")}
    assert jumps <= set(ids)
    assert {"scan-1", "scan-4", "training", "provenance"} <= jumps
    assert page.all("html")[0]["lang"] == "en"


def test_all_parts_are_told(written, chest):
    words = Reader(written(full_page(chest))).words()
    for text in (
        "It found most lesions.",
        "Three scans. The best value of each column is marked.",
        "a was left out: broken",
        "b was left out: no image",
        "Second paragraph.",
        "Not for clinical use.",
        "method: dram",
        "3.0 s",
        "z \N{MINUS SIGN}24 mm",
        "predicted only",
        "activation 0",
    ):
        assert text in words, text
    assert words.count("b was left out") == 1


def test_text_is_never_markup(written, chest):
    nasty = "<script>alert('&')</script>\"><img src=x onerror=alert(1)>"
    view = replace(chest, name=nasty, headline=nasty, scores=pd.DataFrame({"region": [nasty], "predicted": [1]}))
    table = SUMMARY.assign(method=[nasty, "dRAM"], **{nasty: [1, 2]})
    page = Page(
        nasty, nasty, ((nasty, nasty),), table, (view,), pd.DataFrame({"step": [1], nasty: [2.0]}),
        {nasty: nasty}, nasty, {nasty: nasty, "list": [{nasty: nasty}]}, (nasty,), nasty,
    )  # fmt: skip
    html = written(page)
    read = Reader(html)
    assert not read.all("script")
    assert all(not any(name.startswith("on") for name in attrs) for _, attrs in read.tags)
    assert all(attrs["src"].startswith("data:") for attrs in read.all("img"))
    assert read.words().count("<script>alert(") >= 12


def test_the_worst_comes_first(written, picture):
    views = [replace(picture, name=name, rank=rank) for name, rank in (("fair", 0.5), ("good", 0.9), ("bad", 0.1))]
    views.append(replace(picture, name="unknown", rank=float("nan")))
    page = Reader(written(full_page(*views)))
    words = page.words()
    places = [words.rindex(f" {name} ") for name in ("bad", "fair", "good", "unknown")]
    assert places == sorted(places)
    assert "4 scans , worst first" in words or "4 scans, worst first" in words
    assert "worst first" not in Reader(written(full_page(replace(picture, truth=None, scores=None)))).words()


def test_scans_past_the_first_few_are_folded_away(written, picture):
    views = [replace(picture, name=f"scan {i}") for i in range(4)]
    page = Reader(written(replace(full_page(*views), open_scans=1)))
    assert len([attrs for attrs in page.all("details") if attrs.get("class") == "scan"]) == 3
    assert len(page.all("article")) == 1


def test_scans_are_loaded_one_at_a_time_and_let_go(written, picture):
    alive: list[weakref.ref] = []

    def loader(name):
        def load():
            gc.collect()
            assert all(ref() is None for ref in alive), "the scan before is still held"
            view = replace(picture, name=name)
            alive.append(weakref.ref(view))
            return view

        return load

    words = Reader(written(full_page(*(loader(f"scan-{i}") for i in range(3))))).words()
    assert len(alive) == 3
    assert "scan-2" in words


def test_a_note_that_scans_share_is_written_once(written):
    shared = tuple(f"scan_{number}: no region mask; lobes by network" for number in range(5))
    html = written(Page(title="run", summary="done", notes=("the model marked no voxel", *shared, "a: x", "b: x")))
    assert html.count("no region mask") == 1
    assert "no region mask; lobes by network (5 scans: scan_0, scan_1, scan_2, ... (2 more))" in html
    assert "a: x" in html
    assert "b: x" in html


def test_a_scan_that_cannot_be_read_stops_no_other(written, picture):
    def broken():
        raise UserError("scan-7.nii.gz: truncated; copy it again")

    words = Reader(written(full_page(broken, picture))).words()
    assert "A scan is not shown: scan-7.nii.gz: truncated; copy it again" in words
    assert "1 scan ." in words or "1 scan." in words


def test_names_bring_no_control_characters_into_the_page(written):
    html = written(Page("scan \x1b[2J\udcff\u202e", "first line\nsecond", notes=("note \x9b",)))
    assert not {"\x1b", "\x9b", "\u202e"} & set(html)
    assert "scan \\u001b[2J\\udcff\\u202e" in html
    assert "first line\nsecond" in html
    assert "note \\u009b" in html


def test_the_barest_page(written):
    page = Reader(written(Page("Nothing", "No scan, no table.")))
    assert page.all("h1")
    assert not page.all("img")
    assert "Not for clinical use." in page.words()
    assert Reader(written(Page("Empty", "", table=SUMMARY.head(0), curves=pd.DataFrame({"step": []})))).all("h1")


def test_complete_or_not_at_all(tmp_path, picture):
    target = tmp_path / "report.html"
    target.write_text("the report before")

    def fault():
        raise RuntimeError("a programming fault")

    with pytest.raises(RuntimeError):
        write_report(target, full_page(picture, fault))
    assert target.read_text() == "the report before"
    assert list(tmp_path.iterdir()) == [target]
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        write_report(tmp_path / "file" / "report.html", Page("t", "s"))


def test_a_scan_is_linked_to_its_page_where_there_is_one(written, picture, tmp_path):
    for path in (scan_page(tmp_path, "here <1>"), scan_page(tmp_path / "gone", "there")):
        path.parent.mkdir(parents=True)
        path.touch()
    views = [replace(picture, name=name) for name in ("here <1>", "there")]
    links = [attrs.get("href") for attrs in Reader(written(full_page(*views))).all("a")]
    assert [link for link in links if link and link.startswith("view/")] == ["view/here%20%3C1%3E.html"]
