"""One thread for short operations, and the caller's number of threads afterwards."""

from collections.abc import Iterator

import pytest
import torch

from weakmask.networks.one_thread import one_thread


@pytest.fixture
def two_threads() -> Iterator[None]:
    """PyTorch on two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_one_on_the_processor_and_the_number_before_afterwards() -> None:
    with one_thread(torch.device("cpu")):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_number_before_after_a_failure_too() -> None:
    with pytest.raises(RuntimeError), one_thread(torch.device("cpu")):
        raise RuntimeError
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_other_devices_keep_theirs() -> None:
    with one_thread(torch.device("meta")):
        assert torch.get_num_threads() == 2
