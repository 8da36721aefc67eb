"""Grey opening: bright things that are narrower than a window disappear, broad ones stay as they are.

In lung CT at the right size vessels go and opacities stay: a picture so opened ranks voxels by how likely they are
lesion, without any training and hence without any chance.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}


def opened(image: Float[Tensor, "batch channel *space"], voxels: int) -> Float[Tensor, "batch channel *space"]:
    """The grey opening with a flat square (cube) window: the largest of the window minima around each voxel.

    Args:
        image: In two or three dimensions, at least 0; what lies outside counts as 0.
        voxels: Side of the window, odd; 1 changes nothing.

    Returns:
        At most the image, everywhere.

    Raises:
        ValueError: A window that is not odd.
    """
    if voxels < 1 or voxels % 2 == 0:
        raise ValueError(f"the window has {voxels} voxels; expected an odd number from 1 up")
    if voxels == 1:
        return image
    pool, reach = MAX_POOL[image.ndim - 2], voxels // 2
    padded = F.pad(image, [reach] * (2 * (image.ndim - 2)))  # zeros: the minimum at the border looks outside
    minima = -pool(-padded, voxels, stride=1)
    return pool(minima, voxels, stride=1, padding=reach)
