import os

import pytest

from weakmask.errors import UserError
from weakmask.volume.file_tree import folders_below


def names(folder):
    return [(place.name, [file.name for file in files]) for place, files in folders_below(folder)]


def test_folders_and_their_visible_files_in_order(tmp_path):
    for name in ("b/2", "b/1", "a/.hidden", "top", ".dot/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == [(tmp_path.name, ["top"]), ("a", []), ("b", ["1", "2"])]


@pytest.mark.parametrize("links", [("x",), ("x", "y")])
def test_folders_that_link_to_themselves_come_once(tmp_path, links):
    """Two links would make 2^40 paths."""
    folder = tmp_path / "scan"
    folder.mkdir()
    (folder / "file").touch()
    for link in links:
        (folder / link).symlink_to(".")
    assert names(folder) == [("scan", ["file"])]


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(UserError, match=r"cannot be listed \(Permission denied\)"):
        names(tmp_path)


def test_pipes_are_listed_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == [(tmp_path.name, ["pipe"])]
