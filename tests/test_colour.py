"""Our colour jitter is kornia's: same pixels for the same parameters."""

import math

import kornia.color
import kornia.enhance
import pytest
import torch

from sslmemo.augmentations import colour
from sslmemo.augmentations.colour import (
    IMAGES,
    ColourJitter,
    RandomGrey,
    brighten,
    saturate,
    stretch,
    turn_hue,
)


def colours(n=IMAGES + 8):
    """Random images, with greys, black, white, pure colours and ties of two channels among them."""
    x = torch.rand(n, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    x[0] = 0.0
    x[1] = 1.0
    x[2] = x[2, :1]
    x[3, 1] = x[3, 0]
    x[4, 2] = x[4, 1]
    x[5, 0] = x[5, 2]
    x[6] = (x[6] > 0.5).float()
    x[7] *= 1e-3
    return x


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        (brighten, kornia.enhance.adjust_brightness_accumulative, 0.0, 2.0),
        (stretch, kornia.enhance.adjust_contrast_with_mean_subtraction, 0.0, 2.0),
        (saturate, kornia.enhance.adjust_saturation_with_gray_subtraction, 0.0, 2.0),
        (turn_hue, lambda x, t: kornia.enhance.adjust_hue(x, 2 * math.pi * t), -0.5, 0.5),
    ],
)
def test_each_step_equals_kornias(ours, theirs, low, high):
    x = colours()
    value = torch.linspace(low, high, len(x))
    torch.testing.assert_close(ours(x.clone(), value), theirs(x, value), atol=5e-6, rtol=0)


def test_a_turn_keeps_value_and_saturation_and_whole_turns_change_nothing():
    x, n = colours(), len(colours())
    turned = turn_hue(x.clone(), torch.linspace(-0.5, 0.5, n))
    torch.testing.assert_close(turned.amax(1), x.amax(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(turned.amin(1), x.amin(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(turn_hue(x.clone(), torch.zeros(n)), x, atol=2e-6, rtol=0)
    red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None].expand(3, 3, 1, 1).clone()
    third = turn_hue(red, torch.tensor([0.0, 1 / 3, -1 / 3])).flatten(1)
    torch.testing.assert_close(third, torch.eye(3), atol=2e-6, rtol=0)


def test_jitter_draws_fill_their_ranges_and_leave_some_images_alone():
    torch.manual_seed(0)
    x = torch.full((4000, 3, 2, 2), 0.5)
    views = ColourJitter(0.4, 0.0, 0.0, 0.0, p=0.8)(x)[:, 0, 0, 0]
    untouched = views == 0.5
    assert float(untouched.float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float(views.min()) == pytest.approx(0.3, abs=0.002)
    assert float(views.max()) == pytest.approx(0.7, abs=0.002)
    orange = torch.tensor([1.0, 0.5, 0.0])[None, :, None, None].expand(4000, 3, 1, 1)
    hue = kornia.color.rgb_to_hsv(ColourJitter(0.0, 0.0, 0.0, 0.05, p=1.0)(orange))[:, 0].flatten()
    assert float(hue.min() / (2 * math.pi)) == pytest.approx(1 / 12 - 0.05, abs=0.001)
    assert float(hue.max() / (2 * math.pi)) == pytest.approx(1 / 12 + 0.05, abs=0.001)


def test_every_order_of_the_four_steps_is_drawn_and_repeats_with_its_seed(monkeypatch):
    x, order = colours(8), []
    for name in ("brighten", "stretch", "saturate", "turn_hue"):
        monkeypatch.setattr(colour, name, lambda x, value, name=name: order.append(name) or x)
    torch.manual_seed(0)
    orders = set()
    for _ in range(300):
        colour.ColourJitter(0.4, 0.4, 0.4, 0.1)(x)
        orders.add(tuple(order))
        order.clear()
    assert len(orders) == 24
    monkeypatch.undo()
    torch.manual_seed(3)
    first = ColourJitter(0.4, 0.4, 0.4, 0.1)(x)
    torch.manual_seed(3)
    assert torch.equal(first, ColourJitter(0.4, 0.4, 0.4, 0.1)(x))


def test_inputs_are_left_as_they_were():
    x = colours(8)
    before = x.clone()
    ColourJitter(0.8, 0.8, 0.8, 0.2)(x)
    grey = RandomGrey(p=1.0)(x)
    assert torch.equal(x, before)
    expected = kornia.color.rgb_to_grayscale(x).expand_as(x)
    torch.testing.assert_close(grey, expected, atol=1e-6, rtol=0)
    assert torch.equal(RandomGrey(p=0.0)(x), x)
