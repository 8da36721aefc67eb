"""The kinds of `weakmask phantom`, and flags that do not belong to a kind."""

from pathlib import Path

import pytest

from weakmask.commands.phantom import PhantomRequest, write_phantoms
from weakmask.datasets.cohort import read_cohort
from weakmask.errors import UserError


def test_each_kind_is_a_cohort_that_is_read(tmp_path: Path) -> None:
    ct = PhantomRequest("chest-ct", 1, 0, size=(30, 26, 30), spacing=(8.0, 8.0, 8.0))
    pictures = [PhantomRequest(kind, 2, 0, side=40) for kind in ("chest-xray", "photographs")]
    stack = PhantomRequest("em-easy", 1, 0, size=(4, 40, 40), spacing=(30.0, 16.0, 16.0))
    for request in (ct, *pictures, stack):
        folder = tmp_path / request.kind
        write_phantoms(folder, request)
        assert len(read_cohort(folder).cases) == request.count


def test_a_flag_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--kind chest-ct takes no --side"):
        write_phantoms(tmp_path / "a", PhantomRequest("chest-ct", 1, 0, side=64))
    with pytest.raises(UserError, match="--kind photographs takes no --reader-noise"):
        write_phantoms(tmp_path / "a", PhantomRequest("photographs", 1, 0, reader_noise=0.0))
    with pytest.raises(UserError, match="--kind em takes no --side"):
        write_phantoms(tmp_path / "a", PhantomRequest("em", 1, 0, side=64))
    with pytest.raises(UserError, match="--kind mri: expected one of chest-ct, chest-xray, photographs, em, em-easy"):
        write_phantoms(tmp_path / "a", PhantomRequest("mri", 1, 0))
    assert not (tmp_path / "a").exists()
