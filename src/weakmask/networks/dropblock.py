"""DropBlock: dropout of whole blocks of a feature map, in any number of dimensions.

Ghiasi, Lin, Le 2018 (arXiv 1810.12890). The paper draws centres with probability p / block^n where a whole block fits.
Blocks overlap, so that less than p is dropped: 0.18 for p = 0.2. Here (O) every voxel is dropped with probability p
exactly: blocks are also drawn across the border, which cuts them, and their density accounts for the overlap.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class DropBlock(nn.Module):
    """Set square blocks of a map to zero in training, the same ones in all channels, and scale the rest up.

    Attributes:
        probability: Final probability p that a voxel is dropped.
        block: Side of a block in voxels.
        ramp: Share of the training in which p rises from 0 to its final value.
        done: Share of the training that is done; `set_dropblock_progress` sets it.
    """

    def __init__(self, probability: float, block: int = 7, ramp: float = 0.0) -> None:
        """Build the layer; it has no parameters.

        Args:
            probability: Final probability that a voxel is dropped, in [0, 1).
            block: Side of a block in voxels of the map.
            ramp: Share of the training, in [0, 1], in which the probability rises linearly; 0: it is constant.

        Raises:
            ValueError: A value is out of range.
        """
        super().__init__()
        if not 0.0 <= probability < 1.0 or block < 1 or not 0.0 <= ramp <= 1.0:
            raise ValueError(
                "DropBlock takes a probability in [0, 1), a block of at least 1 and a ramp in [0, 1], "
                f"not {probability}, {block} and {ramp}"
            )
        self.probability, self.block, self.ramp = probability, block, ramp
        self.done = 0.0

    def forward(self, maps: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        """In training the maps without the dropped blocks, times voxels / kept voxels of each image."""
        probability = self.probability_now()
        if not self.training or probability == 0.0:
            return maps
        kept = ~self.dropped(maps, probability)
        share = kept.flatten(1).to(maps.dtype).mean(dim=1).clamp_min(1.0 / kept[0].numel())
        return maps * (kept / share.view(-1, *[1] * (maps.ndim - 1)))

    def probability_now(self) -> float:
        """The probability at the present progress of the training."""
        return self.probability * (1.0 if self.done >= self.ramp else self.done / self.ramp)

    def dropped(
        self, maps: Float[Tensor, "batch channel *space"], probability: float
    ) -> Bool[Tensor, "batch 1 *space"]:
        """The voxels to drop, drawn from torch's global random state.

        Each voxel lies in block^n possible blocks. It is kept if none of them is drawn: with the density gamma of
        blocks, (1 - gamma)^(block^n) = 1 - p.
        """
        space = maps.shape[2:]
        density = 1.0 - (1.0 - probability) ** (1.0 / self.block ** len(space))
        starts = torch.rand(maps.shape[0], 1, *(side + self.block - 1 for side in space), device=maps.device) < density
        return MAX_POOL[len(space)](starts.float(), self.block, stride=1) > 0


def set_dropblock_progress(network: nn.Module, done: float) -> None:
    """Set the share of the training that is done in every DropBlock of a network."""
    for module in network.modules():
        if isinstance(module, DropBlock):
            module.done = done
