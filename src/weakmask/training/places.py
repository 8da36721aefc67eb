"""Places: which process of a training on several devices this one is, as torchrun, Slurm or weakmask started it."""

import os
from dataclasses import dataclass

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from weakmask.errors import UserError
from weakmask.training.devices import Spread


@dataclass(frozen=True)
class Place:
    """One process of a training.

    Attributes:
        rank: Its number; rank 0 runs the stages, the others only help to train.
        processes: Their number, one a device.
        local_rank: Its number on its node.
        node: The number of its node.
        address: Host of rank 0.
        port: Port at which the processes meet.
        hosted: Whether the launcher serves that port; else rank 0 does.
    """

    rank: int
    processes: int
    local_rank: int
    node: int
    address: str
    port: int
    hosted: bool = False


def launched_place(spread: Spread) -> Place | None:
    """The place that torchrun or srun gave this process; None where this process was started alone.

    Raises:
        UserError: They started another number of processes than the settings ask for.
    """
    kinds: tuple[type[ClusterEnvironment], ...] = (TorchElasticEnvironment, SLURMEnvironment)
    found = next((kind() for kind in kinds if kind.detect()), None)
    if found is None or found.world_size() == 1:
        return None
    if found.world_size() != spread.processes:
        raise UserError(
            f"{found.world_size()} processes were started for {spread.devices} devices on each of {spread.nodes} "
            "nodes; set training.devices and training.nodes so that there is one process a device"
        )
    hosted = isinstance(found, TorchElasticEnvironment) and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return Place(
        found.global_rank(),
        found.world_size(),
        found.local_rank(),
        found.node_rank(),
        found.main_address,
        found.main_port,
        hosted,
    )


class PlacedEnvironment(LightningEnvironment):
    """A place as Fabric asks for it."""

    def __init__(self, place: Place) -> None:
        """Hold the place."""
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        """True: Fabric starts no process."""
        return True

    @property
    def main_address(self) -> str:
        """Host of rank 0."""
        return self._place.address

    @property
    def main_port(self) -> int:
        """Port at which the processes meet."""
        return self._place.port

    def local_rank(self) -> int:
        """Number of the process on its node."""
        return self._place.local_rank

    def node_rank(self) -> int:
        """Number of the node."""
        return self._place.node

    def teardown(self) -> None:
        """Leave the variables of the launcher as they are."""
