"""Movements by hand, there and back, and the same again from the same seed."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weakmask.datasets.augment import (
    Intensity,
    Move,
    apply_intensity,
    apply_move,
    apply_moves,
    blurred,
    draw_intensity,
    draw_move,
)
from weakmask.training.seeding import generator_for

seeds = st.integers(0, 2**31)


def blob(dimensions: int, side: int = 40) -> torch.Tensor:
    """A smooth, lopsided bump in the middle, zero at the border; two samples, one channel."""
    places = torch.meshgrid(*[torch.linspace(-1, 1, side)] * dimensions, indexing="ij")
    distance = sum((p - 0.1 * i) ** 2 * (1 + i) for i, p in enumerate(places))
    bump = torch.exp(-8 * torch.as_tensor(distance)) * (1 + 0.5 * places[0])
    return torch.stack([bump, bump.flip(0)])[:, None]


def test_flips_and_quarter_turns_put_voxels_exactly_where_they_belong():
    image = torch.arange(18.0).reshape(1, 1, 2, 3, 3)
    moved = apply_move(image, Move((True, False, False), plane=(1, 2), quarters=1))
    assert torch.equal(moved, torch.rot90(image.flip(2), 1, (3, 4)))
    assert moved[0, 0, 0, 0, 0] == image[0, 0, 1, 0, 2]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_exact_move_comes_back_exactly(dimensions: int):
    image = torch.rand(2, 3, *[5] * dimensions)
    planes = list(itertools.combinations(range(dimensions), 2))
    for flips in itertools.product((False, True), repeat=dimensions):
        for plane, quarters in itertools.product(planes, range(4)):
            move = Move(flips, plane, quarters)
            assert torch.equal(apply_move(apply_move(image, move), move.inverse), image)
            assert move.inverse.inverse == move


def test_scaling_by_two_about_the_centre():
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 3:5, 3:5] = 1.0  # two voxels wide
    larger = apply_move(image, Move((False, False), scales=(2.0, 2.0)), "nearest")
    expected = torch.zeros(1, 1, 8, 8)
    expected[0, 0, 2:6, 2:6] = 1.0
    assert torch.equal(larger, expected)


@pytest.mark.parametrize(("shape", "axis", "plane"), [((7, 7), (), (0, 1)), ((5, 7, 7), (1.0, 0.0, 0.0), (1, 2))])
def test_ninety_degrees_are_a_quarter_turn(shape: tuple[int, ...], axis: tuple[float, ...], plane: tuple[int, int]):
    image = torch.rand(1, 1, *shape)
    flips = (False,) * len(shape)
    rotated = apply_move(image, Move(flips, axis=axis, angle_degrees=90.0))
    quarters = [apply_move(image, Move(flips, plane, k)) for k in (1, 3)]
    assert min(float((rotated - quarter).abs().max()) for quarter in quarters) < 1e-4


def test_rotation_is_by_angle_in_voxels_also_where_sides_differ():
    """A voxel 4 from the centre along x goes to (4 sin, 4 cos), whatever the sides."""
    image = torch.zeros(1, 1, 15, 31)
    image[0, 0, 7, 19] = 1.0
    moved = apply_move(image, Move((False, False), angle_degrees=30.0))
    places = torch.stack(torch.meshgrid(torch.arange(15.0), torch.arange(31.0), indexing="ij")).flatten(1)
    mean = (places * moved.flatten() / moved.sum()).sum(dim=1)
    assert abs(mean[0] - 7).item() == pytest.approx(4 * math.sin(math.radians(30)), abs=0.1)
    assert (mean[1] - 15).item() == pytest.approx(4 * math.cos(math.radians(30)), abs=0.1)


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([2, 3]))
def test_there_and_back_is_the_image_but_for_interpolation(seed: int, dimensions: int):
    move = draw_move(generator_for(seed, 0), dimensions)
    image = blob(dimensions)
    back = apply_move(apply_move(image, move), move.inverse)
    assert (back - image).abs().max() < 0.08
    assert (back - image).abs().mean() < 0.01


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_ones_tell_where_the_result_is_valid(seed: int):
    move = draw_move(generator_for(seed, 0), 3)
    constant = torch.full((1, 1, 12, 12, 12), 0.3)
    moved, valid = apply_move(constant, move), apply_move(torch.ones_like(constant), move)
    torch.testing.assert_close(moved, 0.3 * valid)
    assert (valid >= 0).all()
    assert valid.max() <= 1 + 1e-5


def test_the_same_seed_draws_the_same_and_another_step_another():
    first, again, other = (draw_move(generator_for(3, step, "moves"), 3) for step in (5, 5, 6))
    assert first == again
    assert first != other


def test_draws_stay_in_their_ranges_and_reach_them():
    moves = [draw_move(generator_for(0, step), 3, (0.8, 1.25), 15.0) for step in range(400)]
    scales = torch.tensor([move.scales[0] for move in moves]).log()
    angles = torch.tensor([move.angle_degrees for move in moves])
    assert all(move.scales == (move.scales[0],) * 3 for move in moves)
    assert scales.abs().max() <= math.log(1.25) + 1e-6
    assert abs(scales.mean()) < 0.02
    assert 14 < angles.abs().max() <= 15
    assert {move.quarters for move in moves} == {0, 1, 2, 3}
    assert {move.plane for move in moves} == {(0, 1), (0, 2), (1, 2)}
    assert {move.flips for move in moves} == set(itertools.product((False, True), repeat=3))
    assert all(math.hypot(*move.axis) == pytest.approx(1) for move in moves)


def test_what_is_switched_off_is_not_drawn():
    off = draw_move(generator_for(0, 0), 2, (1.0, 1.0), 0.0, flips=False, quarter_turns=False)
    image = torch.rand(1, 1, 5, 7)
    assert off.exact
    assert torch.equal(apply_move(image, off), image)


def test_quarter_turns_keep_to_planes_of_equal_sides():
    moves = [draw_move(generator_for(0, step), 3, shape=(10, 12, 12)) for step in range(40)]
    assert {move.plane for move in moves} == {(1, 2)}
    assert {draw_move(generator_for(0, step), 2, shape=(10, 12)).quarters for step in range(40)} == {0}
    with pytest.raises(ValueError, match="equal sides"):
        apply_move(torch.zeros(1, 1, 4, 5), Move((False, False), quarters=1))


def test_moves_of_other_dimensions_are_refused():
    with pytest.raises(ValueError, match="2-D move"):
        apply_move(torch.zeros(1, 1, 4, 5, 6), Move((False, False)))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_gradients_flow_back_through_a_move(dimensions: int):
    image = torch.rand(1, 1, *[5] * dimensions, dtype=torch.float64, requires_grad=True)
    move = draw_move(generator_for(1, 1), dimensions)
    assert torch.autograd.gradcheck(lambda x: apply_move(x, move), image)


def test_half_precision_stays_and_is_interpolated_in_single():
    image = blob(3)
    move = draw_move(generator_for(2, 2), 3)
    moved = apply_move(image.bfloat16(), move)
    assert moved.dtype == torch.bfloat16
    torch.testing.assert_close(moved.float(), apply_move(image, move), atol=0.02, rtol=0)


def test_labels_stay_labels():
    labels = torch.randint(0, 6, (1, 1, 12, 12, 12)).float()
    assert set(apply_move(labels, draw_move(generator_for(4, 4), 3), "nearest").unique().tolist()) <= set(range(6))


def test_from_beyond_the_border_comes_the_mirrored_image_or_zeros():
    half = Move((False, False), scales=(0.5, 0.5))
    ramp = torch.arange(8.0).repeat(8, 1)[None, None]
    mirrored, empty = apply_move(ramp, half, beyond="reflection")[0, 0, 4], apply_move(ramp, half)[0, 0, 4]
    assert mirrored.tolist() == pytest.approx([2.5, 0.5, 0.5, 2.5, 4.5, 6.5, 6.5, 4.5])
    assert empty.tolist() == pytest.approx([0, 0, 0.5, 2.5, 4.5, 6.5, 0, 0])


def test_each_picture_is_blurred_by_its_own_width():
    spot = torch.zeros(2, 1, 21, 21)
    spot[:, 0, 10, 10] = 1
    wide, unchanged = blurred(spot, torch.tensor([1.5, 0.0]))
    assert torch.equal(unchanged, spot[1])
    assert float((wide.sum((0, 1)) * (torch.arange(21) - 10) ** 2).sum()) == pytest.approx(1.5**2, abs=0.02)
    flat = torch.full((1, 2, 5, 5), 0.3)
    assert torch.allclose(blurred(flat, torch.tensor([2.0])), flat)


def test_each_sample_its_own_move():
    image = blob(2)
    moves = [draw_move(generator_for(0, step), 2) for step in range(2)]
    moved = apply_moves(image, moves)
    for i, move in enumerate(moves):
        assert torch.equal(moved[i : i + 1], apply_move(image[i : i + 1], move))
    with pytest.raises(ValueError, match="1 moves for 2"):
        apply_moves(image, moves[:1])


def test_grey_values_by_hand():
    image = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 3, 1).repeat(2, 1, 1, 1)
    changed = apply_intensity(image, Intensity(gamma=(0.5, 1.0), gain=(1.0, 0.5), shift=(0.1, 0.0)))
    torch.testing.assert_close(changed.flatten(), torch.tensor([0.1, 0.6, 1.0, 0.0, 0.125, 0.5]))


def test_no_change_is_the_image():
    image = torch.rand(2, 1, 4, 4, 4)
    assert torch.equal(apply_intensity(image, Intensity()), image)


def test_grey_values_stay_in_range_and_replay():
    image = torch.rand(3, 1, 6, 6, 6)
    draws = [draw_intensity(generator_for(0, step), samples=3) for step in (1, 1, 2)]
    first, again, other = (apply_intensity(image, draw) for draw in draws)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1
    assert len(set(draws[0].gamma)) == 3


def test_noise_has_the_drawn_size():
    image = torch.full((1, 1, 40, 40, 40), 0.5)
    assert apply_intensity(image, Intensity(noise=(0.02,), noise_seed=7)).std().item() == pytest.approx(0.02, rel=0.02)
