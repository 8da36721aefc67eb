"""Eigenvalues of many small symmetric matrices, in closed form."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def symmetric_eigenvalues(entries: Float[Tensor, "entries matrices"]) -> tuple[Tensor, ...]:
    """Eigenvalues of symmetric 2 x 2 or 3 x 3 matrices, ascending.

    A 3 x 3 matrix is m I + r B, where B has trace 0 and squared entries that sum to 6. The eigenvalues of B are
    2 cos(a), 2 cos(a + 2 pi / 3) and 2 cos(a - 2 pi / 3) with cos(3 a) = det(B) / 2 (Smith 1961). Two eigenvalues that
    nearly coincide have an error of the root of the precision: about 1e-3 of r in float32. A multiple of the identity,
    including zero, is exact.

    Args:
        entries: of the upper triangle, row by row: 3 of them (2 x 2) or 6 (3 x 3).

    Returns:
        2 or 3 tensors of length "matrices".
    """
    if len(entries) == 3:
        yy, yx, xx = entries
        middle = (yy + xx) / 2
        radius = torch.hypot((yy - xx) / 2, yx)
        return middle - radius, middle + radius
    zz, zy, zx, yy, yx, xx = entries
    m = (zz + yy).add_(xx).mul_(1 / 3)
    a, b, c = zz - m, yy - m, xx - m
    squares = (zy * zy).addcmul_(zx, zx).addcmul_(yx, yx).mul_(2)
    r = squares.addcmul_(a, a).addcmul_(b, b).addcmul_(c, c).mul_(1 / 6).sqrt_()
    scale = r.clamp_min(math.sqrt(torch.finfo(r.dtype).tiny)).reciprocal_()  # smaller squares are 0 already
    a, b, c, d, e, f = (a.mul_(scale), b.mul_(scale), c.mul_(scale), zy * scale, zx * scale, scale.mul_(yx))
    det = (b * c).addcmul_(f, f, value=-1).mul_(a)
    det.sub_(c.mul_(d).mul_(d)).sub_(b.mul_(e).mul_(e)).addcmul_(d.mul_(e), f, value=2)
    angle = det.mul_(0.5).clamp_(-1, 1).acos_().mul_(1 / 3)
    cosine = angle.cos().mul_(r)
    sine = angle.sin_().mul_(r).mul_(math.sqrt(3))
    largest = torch.add(m, cosine, alpha=2)
    return m - cosine - sine, (m - cosine).add_(sine), largest
