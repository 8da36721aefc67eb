"""Instances of a stack block by block: grey values, probabilities, labels and table, in memory or on the disk.

No step holds more than a block of the stack, a slab of the maps, or the box of one instance; the result does not depend
on where the arrays lie, as blocks and slabs are the same.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from weakmask.activation.blended_probabilities import BlendingWork
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.denoise import denoised
from weakmask.methods.mitochondria.probabilities import CHANNELS, write_probability_maps
from weakmask.methods.mitochondria.working_stack import binning_of, enlarged, enlarged_map, working_grey
from weakmask.prediction import Limits, StackPrediction, Value
from weakmask.refinement.instance_search import Decoder
from weakmask.refinement.instance_table import instance_table
from weakmask.refinement.instances import SLAB_VOXELS
from weakmask.volume.geometry import Float3, Index3
from weakmask.volume.label_pairs import Planes, slabs_of
from weakmask.volume.new_arrays import Channels, NewArrays

OF = "mitochondrion"  # the class that instances belong to
_SHARE = 8  # of the memory for feature maps: the sums of a block, and a slab of labels, have an eighth each
_LABEL_BYTES = 32  # of memory for each voxel of a slab that is labelled


@dataclass(frozen=True)
class BlockSizes:
    """Sizes of the parts that are computed at a time.

    Attributes:
        memory_gb: For the sums of one block of probabilities, in GiB.
        slab_voxels: Voxels that are labelled at a time; at least one section is.
    """

    memory_gb: float = 0.5
    slab_voxels: int = SLAB_VOXELS

    @classmethod
    def within(cls, limits: Limits) -> "BlockSizes":
        """The sizes for some memory; that of 4 GB gives the defaults."""
        share = limits.memory_gb / _SHARE
        return cls(share, int(share * 2**30 / _LABEL_BYTES))


DEFAULT_SIZES = BlockSizes()


@dataclass(frozen=True)
class StackSegmentation:
    """A trained network and its decoder.

    Attributes:
        network: Grey values -> logits of mask and contour.
        decoder: Probabilities -> instances, on the working grid.
        config: Settings of the run.
        device: Where it computes.
        sizes: Sizes of the parts that are computed at a time.
    """

    network: nn.Module
    decoder: Decoder
    config: MitochondriaSettings
    device: torch.device
    sizes: BlockSizes

    def of(self, name: str, stack: Planes, spacing_nm: Float3, new: NewArrays) -> StackPrediction:
        """Find the instances of a stack.

        Args:
            name: Of the stack, for the value.
            stack: Grey values (z, y, x); an array, or a stack on the disk.
            spacing_nm: Voxel size of the stack.
            new: Makes the arrays of intermediate and final results.

        Raises:
            UserError: The model gives voxels no number.
        """
        config, slab = self.config, self.sizes.slab_voxels
        factor = binning_of(spacing_nm, config.prepare.pixel_nm)
        grey = working_grey(stack, factor, new, slab)
        grey = denoised(grey, config.denoise, config.seed, str(self.device), new=new, slab_voxels=slab)
        shape: Index3 = tuple(int(n) for n in grey.shape)  # pyright: ignore[reportAssignmentType]
        maps = {of: new(of, shape, np.uint8) for of in CHANNELS}
        work = BlendingWork(self.sizes.memory_gb, device=str(self.device))
        write_probability_maps(self.network, grey, config.predict, Channels(list(maps.values())), work)
        labels = self.decoder.decode(maps["mask"], maps["contour"], new("labels", shape, np.uint32), slab)
        if factor > 1:
            labels, fine = self._on_own_grid(labels, maps["mask"], factor, stack, new)
        else:
            fine = maps["mask"]
        table = instance_table(labels, spacing_nm, fine)
        count = Value("image", name, "count", float(len(table)), OF)
        return StackPrediction(labels, {"activation": fine}, (count,), table)

    def _on_own_grid(
        self, labels: Planes, mask: Planes, factor: int, stack: Planes, new: NewArrays
    ) -> tuple[Planes, Planes]:
        """Instances and probabilities on the stack's own grid, some sections at a time."""
        depth, rows, columns = (int(n) for n in stack.shape)
        own_labels = new("own_labels", (depth, rows, columns), np.uint32)
        own_mask = new("own_mask", (depth, rows, columns), np.uint8)
        for slab in slabs_of((depth, rows, columns), self.sizes.slab_voxels):
            part, probability = np.asarray(labels[slab]), np.asarray(mask[slab])
            shape = (slab.stop - slab.start, rows, columns)
            own_labels[slab] = enlarged(part, probability, self.decoder, factor, shape)
            own_mask[slab] = enlarged_map(probability, factor, shape)
        return own_labels, own_mask
