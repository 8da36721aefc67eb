"""The layout of NIfTI headers: nifti1.h and nifti2.h of the NIfTI data format working group."""

from typing import Literal

import numpy as np

VERSION_1 = {
    "size": ("i4", 0), "dim": ("8i2", 40), "datatype": ("i2", 70), "bitpix": ("i2", 72), "pixdim": ("8f4", 76),
    "vox_offset": ("f4", 108), "slope": ("f4", 112), "intercept": ("f4", 116), "units": ("u1", 123),
    "qform_code": ("i2", 252), "sform_code": ("i2", 254), "quaternion": ("3f4", 256), "q_offset": ("3f4", 268),
    "sform": ("(3,4)f4", 280), "magic": ("S4", 344),
}  # fmt: skip
VERSION_2 = {
    "size": ("i4", 0), "magic": ("S8", 4), "datatype": ("i2", 12), "bitpix": ("i2", 14), "dim": ("8i8", 16),
    "pixdim": ("8f8", 104), "vox_offset": ("i8", 168), "slope": ("f8", 176), "intercept": ("f8", 184),
    "qform_code": ("i4", 344), "sform_code": ("i4", 348), "quaternion": ("3f8", 352), "q_offset": ("3f8", 376),
    "sform": ("(3,4)f8", 400), "units": ("i4", 500),
}  # fmt: skip
DATATYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])  # the sign of x, y, z


def structure(fields: dict[str, tuple[str, int]], length: int, order: Literal["<", ">"]) -> np.dtype:
    """The type of a header: its fields with their places."""
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": length,
        }
    ).newbyteorder(order)
