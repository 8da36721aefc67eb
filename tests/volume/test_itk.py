import os
import threading

import numpy as np
import pytest
import SimpleITK as sitk

from weakmask.volume.itk import from_itk, quiet_itk, to_itk


def test_quiet_holds_back_what_libraries_write_and_nothing_after(capfd):
    os.write(2, b"before ")
    with quiet_itk():
        os.write(2, b"within ")
    with pytest.raises(ValueError, match="raised"), quiet_itk():
        raise ValueError("raised")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_quiet_without_a_terminal(monkeypatch):
    def closed(_descriptor):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with quiet_itk():
        assert threading.active_count() >= 1


def test_quiet_in_two_threads_gives_the_terminal_back(capfd):
    def read():
        for _ in range(50):
            with quiet_itk():
                os.write(2, b"noise")

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_there_and_back(geometry):
    voxels = np.arange(120, dtype=np.int16).reshape(geometry.shape)
    image = to_itk(voxels, geometry)
    back, grid = from_itk(image)
    assert image.GetSize() == geometry.shape[::-1]
    assert image[5, 0, 2] == voxels[2, 0, 5]
    assert np.array_equal(back, voxels)
    assert grid.same_grid(geometry, 1e-9)
    back[:] = 0  # a copy
    assert image[5, 4, 3] == 119


@pytest.mark.parametrize(("dtype", "there"), [(bool, np.uint8), (np.float16, np.float32), (np.int64, np.int64)])
def test_types_that_itk_lacks(geometry, dtype, there):
    assert from_itk(to_itk(np.ones(geometry.shape, dtype), geometry))[0].dtype == there


@pytest.mark.parametrize("direction", [(1, 0, 0, 1), (0, 1, -1, 0), (0, 1, 1, 0)])
def test_a_flat_image_is_one_slice(direction):
    image = sitk.GetImageFromArray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    image.SetSpacing((0.5, 0.25))
    image.SetOrigin((7, 8))
    image.SetDirection(direction)
    voxels, grid = from_itk(image)
    assert voxels.shape == (1, 3, 4)
    assert (grid.spacing_mm, grid.origin_mm) == ((1, 0.25, 0.5), (0, 8, 7))
    assert np.allclose(grid.affine @ [0, 2, 1, 1], [0, *image.TransformIndexToPhysicalPoint((1, 2))[::-1], 1])
    assert np.linalg.det(np.asarray(grid.direction)) == pytest.approx(1)


def test_a_fourth_axis_of_one_is_dropped():
    voxels, grid = from_itk(sitk.GetImageFromArray(np.zeros((1, 3, 4, 5), np.uint8), isVector=False))
    assert voxels.shape == grid.shape == (3, 4, 5)


@pytest.mark.parametrize(
    "image",
    [
        sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.uint8), isVector=False),
        sitk.GetImageFromArray(np.zeros((3, 4, 5, 2), np.uint8), isVector=True),
    ],
)
def test_refuses_several_volumes_or_channels(image):
    with pytest.raises(ValueError, match="expected one volume of one channel"):
        from_itk(image)
