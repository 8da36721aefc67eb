"""Grey opening: removes bright structures narrower than a window and keeps broad ones.

In lung CT a window of suitable size removes vessels and keeps opacities, so the opened image ranks voxels by how likely
they are lesion. The opening needs no training and is deterministic.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from weakmask.refinement.input_checks import require_tensors

MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}


def opened(image: Float[Tensor, "batch channel *space"], voxels: int) -> Float[Tensor, "batch channel *space"]:
    """Grey opening with a flat square (cube) window: the largest of the window minima around each voxel.

    Args:
        image: In two or three dimensions, at least 0; voxels outside the image count as 0.
        voxels: Side of the window, odd; 1 changes nothing.

    Returns:
        The opened image, nowhere above the image.

    Raises:
        TypeError: The image is not a tensor.
        ValueError: The window is not odd, or the tensor has other than 2 or 3 axes of space.
    """
    require_tensors(image=image)
    if voxels < 1 or voxels % 2 == 0:
        raise ValueError(f"the window has {voxels} voxels; expected an odd number from 1 up")
    if voxels == 1:
        return image
    pool, reach = MAX_POOL[image.ndim - 2], voxels // 2
    padded = F.pad(image, [reach] * (2 * (image.ndim - 2)))  # zeros outside the image lower the minimum at its border
    minima = -pool(-padded, voxels, stride=1)
    return pool(minima, voxels, stride=1, padding=reach)
