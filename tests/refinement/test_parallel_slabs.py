"""Slabs on threads: order, faults and the settings that are left behind."""

import threading

import pytest
import torch

from weakmask.refinement.parallel_slabs import in_threads

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order(threads: int) -> None:
    weight = torch.ones(1, requires_grad=True)
    results = in_threads(lambda k: k * weight, list(range(20)), CPU)
    assert [int(r) for r in results] == list(range(20))
    assert not any(r.requires_grad for r in results)
    assert torch.get_num_threads() == threads
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [threads]


def test_operations_inside_do_not_share_threads(threads: int) -> None:
    assert set(in_threads(lambda _: torch.get_num_threads(), [1, 2, 3], CPU)) == {1}


def test_a_fault_comes_through(threads: int) -> None:
    def fail(slab: int) -> None:
        raise ArithmeticError(slab)

    with pytest.raises(ArithmeticError):
        in_threads(fail, [1, 2], CPU)
    assert torch.get_num_threads() == threads
