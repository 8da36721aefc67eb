"""One scan in the orders in which tools store it; its voxels keep their places in the world."""

from itertools import permutations, product

from weakmask.volume.storage_order import AS_STORED, Order
from weakmask.volume.volume import Volume

ORDERS = {  # of the axes of a scan whose axes run toward head, back and left
    "LPS": AS_STORED,
    "RAS": Order((0, 1, 2), (False, True, True)),
    "LAS": Order((0, 1, 2), (False, True, False)),
    "coronal": Order((1, 0, 2), (False, True, False)),
    "sagittal": Order((2, 0, 1), (True, True, False)),
}
EVERY_ORDER = [
    Order((z, y, x), (a, b, c))
    for (z, y, x), (a, b, c) in product(permutations(range(3)), product((False, True), repeat=3))
]


def stored(volume: Volume, order: Order) -> Volume:
    """The scan in another order."""
    return Volume(order.turn(volume.voxels).copy(), order.grid(volume.geometry), volume.kind)
