"""Local attention beside the plain formula, which holds every neighbour of every voxel."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from weakmask.networks.local_attention import LocalAttention, local_attention

SHAPES = [(9, 7), (1, 5), (6, 1), (2, 2), (5, 6, 7), (1, 4, 5), (4, 1, 5), (5, 4, 1), (2, 3, 2), (3, 1, 1), (1, 1, 3)]
OPTIONS = [
    {},
    {"include_self": False},
    {"rectify": True, "scale": 1 / math.sqrt(19)},
    {"include_self": False, "rectify": True, "scale": 0.3},
]
every_shape = pytest.mark.parametrize("space", SHAPES, ids=str)
every_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def plain(queries: Tensor, keys: Tensor, values: Tensor, include_self=True, rectify=False, scale=1.0) -> Tensor:
    """Softmax over stacked shifts; what lies outside the grid has weight 0."""
    space = queries.shape[2:]
    steps = itertools.product((-1, 0, 1), repeat=len(space))
    shifts = [s for s in steps if sum(map(abs, s)) <= 2 and (include_self or any(s))]

    def neighbours(maps: Tensor) -> Tensor:
        padded = F.pad(maps, (1, 1) * len(space))
        cuts = [tuple(slice(1 + by, 1 + by + n) for by, n in zip(shift, space, strict=True)) for shift in shifts]
        return torch.stack([padded[:, :, *cut] for cut in cuts], 2)

    logits = (queries[:, :, None] * neighbours(keys)).sum(1)
    if rectify:
        logits = logits.relu()
    inside = neighbours(torch.ones_like(values[:, :1]))[:, 0] > 0
    weights = (scale * logits).masked_fill(~inside, -math.inf).softmax(1)
    return (weights[:, None] * neighbours(values)).sum(2)


def tensors(space: tuple[int, ...], embedding=4, channels=2, dtype=torch.float32) -> list[Tensor]:
    """Queries, keys, values, and a gradient from above."""
    generator = torch.Generator().manual_seed(len(space))
    sizes = [embedding, embedding, channels, channels]
    return [torch.randn(2, size, *space, generator=generator, dtype=dtype) for size in sizes]


def averages_and_gradients(function, inputs: list[Tensor], **options) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs[:3]]
    averages = function(*leaves, **options)
    return [averages.detach(), *torch.autograd.grad(averages, leaves, inputs[3])]


@every_shape
@every_option
def test_equals_the_plain_formula(space: tuple[int, ...], options: dict):
    inputs = tensors(space)
    ours = averages_and_gradients(local_attention, inputs, **options)
    torch.testing.assert_close(ours, averages_and_gradients(plain, inputs, **options), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("space", "channels"), [((70, 90), 8), ((33, 29, 31), 1)])
def test_equals_the_plain_formula_over_several_runs_of_rows(monkeypatch, space: tuple[int, ...], channels: int):
    """Borders inside a run, at its ends, and runs that are not whole planes."""
    monkeypatch.setattr("weakmask.networks.local_attention_kernel._RUN_ON_CPU", 1000)
    inputs = tensors(space, embedding=8, channels=channels)
    for options in OPTIONS:
        ours = averages_and_gradients(local_attention, inputs, **options)
        torch.testing.assert_close(ours, averages_and_gradients(plain, inputs, **options), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("space", [(4, 3), (3, 2, 4)], ids=str)
@every_option
def test_gradients_are_those_of_finite_differences(space: tuple[int, ...], options: dict):
    leaves = [tensor.requires_grad_() for tensor in tensors(space, embedding=2, channels=1, dtype=torch.float64)[:3]]
    assert torch.autograd.gradcheck(lambda *inputs: local_attention(*inputs, **options), leaves)


@pytest.mark.parametrize(("space", "neighbours"), [((5, 5), 9), ((5, 5, 5), 19)])
def test_equal_voxels_average_their_neighbours(space: tuple[int, ...], neighbours: int):
    """Without affinities it is a mean: over 9 or 19 inside, over fewer at the border."""
    flat, spot = torch.zeros(1, 1, *space), torch.zeros(1, 1, *space)
    spot[0, 0, *(2 for _ in space)] = 1
    averaged = local_attention(flat, flat, spot)
    assert averaged[0, 0, *(2 for _ in space)] == pytest.approx(1 / neighbours)
    assert int((averaged > 0).sum()) == neighbours
    torch.testing.assert_close(local_attention(flat, flat, torch.ones_like(spot)), torch.ones_like(spot))


def test_a_voxel_listens_to_those_that_look_like_it():
    looks = torch.zeros(1, 2, 1, 3)
    looks[0, 0, 0, :2], looks[0, 1, 0, 2] = 5, 5  # left and middle are alike, right is not
    averaged = local_attention(looks, looks, torch.tensor([0.0, 1.0, 9.0]).reshape(1, 1, 1, 3))
    assert averaged.flatten().tolist() == pytest.approx([0.5, 0.5, 9.0], abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_goes_in_and_comes_out(dtype: torch.dtype):
    inputs = [tensor.to(dtype) for tensor in tensors((6, 7))]
    ours = averages_and_gradients(local_attention, inputs)
    assert all(tensor.dtype == dtype for tensor in ours)
    expected = averages_and_gradients(plain, [tensor.double() for tensor in inputs])
    for got, want in zip(ours, expected, strict=True):
        torch.testing.assert_close(got.double(), want, atol=2e-2, rtol=2e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")
@pytest.mark.parametrize("space", [(70, 90), (33, 29, 31)], ids=str)
def test_on_a_graphics_card(space: tuple[int, ...]):
    inputs = tensors(space)
    ours = averages_and_gradients(local_attention, [tensor.cuda() for tensor in inputs])
    expected = averages_and_gradients(plain, inputs)
    torch.testing.assert_close([tensor.cpu() for tensor in ours], expected, atol=1e-5, rtol=1e-5)


def test_answers_the_same_without_gradients():
    queries, keys, values, _ = tensors((6, 7))
    with torch.inference_mode():
        alone = local_attention(queries, keys, values)
    assert torch.equal(alone, local_attention(queries, keys, values.requires_grad_()).detach())


def test_large_logits_and_memory_of_any_order():
    queries, keys, values, above = tensors((6, 5, 4))
    inputs = [100 * queries, keys.contiguous(memory_format=torch.channels_last_3d), values.mT.contiguous().mT, above]
    ours = averages_and_gradients(local_attention, inputs)
    torch.testing.assert_close(ours, averages_and_gradients(plain, inputs), atol=1e-3, rtol=1e-4)


@pytest.mark.usefixtures("unchecked_types")
def test_says_what_does_not_fit():
    queries, keys, values, _ = tensors((4, 4))
    with pytest.raises(ValueError, match="expected equal shapes"):
        local_attention(queries, keys[:, :1], values)
    with pytest.raises(ValueError, match="do not lie on the grid"):
        local_attention(queries, keys, values[..., :2])
    with pytest.raises(ValueError, match="one voxel has no neighbours"):
        local_attention(queries[..., :1, :1], keys[..., :1, :1], values[..., :1, :1], include_self=False)
    with pytest.raises(ValueError, match="expected 2 or 3"):
        LocalAttention(dimensions=4)
    with pytest.raises(ValueError, match="in_channels"):
        LocalAttention(in_channels=())
    with pytest.raises(ValueError, match="got 1 features, expected 3"):
        LocalAttention(2)(values[:, :1], [queries])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_module_is_equation_5(dimensions: int):
    """Concatenate enlarged features, embed, project, g before the mean, r after it, add y."""
    torch.manual_seed(0)
    space = (8, 6, 10)[:dimensions]
    y = torch.rand(2, 1, *space, requires_grad=True)
    features = [torch.randn(2, 3, *(n // 2**level for n in space)) for level in range(2)]
    attention = LocalAttention(dimensions, in_channels=(3, 3))
    mode = {2: "bilinear", 3: "trilinear"}[dimensions]
    big = torch.cat([features[0], F.interpolate(features[1], size=space, mode=mode)], 1)

    def linear(maps: Tensor, weight: Tensor) -> Tensor:
        return torch.einsum("oc,bc...->bo...", weight.flatten(1), maps)

    first, second = attention.embeddings
    x = linear(big, torch.cat([first.weight, second.weight], 1)) + first.bias.view(1, -1, *(1 for _ in space))
    g_y = linear(y, attention.g.weight)
    averaged = plain(linear(x, attention.theta.weight), linear(x, attention.phi.weight), g_y)
    expected = linear(averaged, attention.r.weight) + y
    torch.testing.assert_close(attention(y, features), expected, atol=1e-5, rtol=1e-5)
    weights = [y, *attention.parameters()]
    ours = torch.autograd.grad(attention(y, features).square().sum(), weights)
    torch.testing.assert_close(ours, torch.autograd.grad(expected.square().sum(), weights), atol=1e-4, rtol=1e-4)
    assert all(gradient.any() for gradient in ours)


def test_module_as_in_the_authors_code():
    torch.manual_seed(0)
    y, image = torch.rand(1, 1, 6, 7), torch.randn(1, 2, 6, 7)
    attention = LocalAttention(2, in_channels=(2,), include_self=False, rectify=True, residual=False)
    x = attention.embeddings[0](image)
    averaged = plain(attention.theta(x), attention.phi(x), y, include_self=False, rectify=True, scale=1 / math.sqrt(8))
    torch.testing.assert_close(attention(y, [image]), attention.r(attention.g(averaged)))


def test_module_under_bfloat16_autocast():
    torch.manual_seed(0)
    y, image = torch.rand(1, 1, 8, 8, 8), torch.randn(1, 1, 8, 8, 8)
    attention = LocalAttention(3, in_channels=(1,))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = attention(y, [image])
    torch.testing.assert_close(mixed.float(), attention(y, [image]), atol=0.02, rtol=0.02)
    mixed.float().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in attention.parameters())
