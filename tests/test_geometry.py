"""Our affine and crop are kornia's transforms: same pixels for the same parameters."""

import kornia.geometry.transform as kt
import pytest
import torch
import torch.nn.functional as F

from sslmemo.augmentations.geometry import RandomAffine, RandomCropFlip, affine, crop


@pytest.mark.parametrize(("h", "w"), [(28, 28), (20, 31)])
def test_affine_equals_kornias_warp(h, w):
    torch.manual_seed(0)
    b = 16
    x = F.avg_pool2d(torch.rand(b, 2, h + 2, w + 2), 3, 1)
    angle, zoom = torch.rand(b) * 20 - 10, 0.9 + 0.2 * torch.rand(b)
    shift = (torch.rand(b, 2) - 0.5) * 4  # pixels
    center = torch.tensor([[(w - 1) / 2, (h - 1) / 2]]).repeat(b, 1)
    matrix = kt.get_affine_matrix2d(shift, center, zoom[:, None].repeat(1, 2), angle)
    theirs = kt.warp_affine(x, matrix[:, :2], (h, w), align_corners=True)
    # kornia's matrices rotate the other way round than its docstring's angle in image coordinates
    ours = affine(x, torch.deg2rad(-angle), zoom, 2 * shift[:, 0] / w, 2 * shift[:, 1] / h)
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(ours[inside], theirs[inside], atol=1e-4, rtol=0)


def test_whole_boxes_are_the_image_and_a_mirror_is_exact():
    x = torch.rand(3, 2, 8, 10)
    one, zero = torch.ones(3), torch.zeros(3)
    torch.testing.assert_close(crop(x, zero, zero, one, one, one), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(crop(x, zero, zero, one, one, -one), x.flip(3), atol=1e-5, rtol=0)
    still = affine(x, zero, one, zero, zero)
    torch.testing.assert_close(still, x, atol=1e-5, rtol=0)


def test_boxes_of_whole_pixels_equal_interpolate():
    x = torch.rand(1, 3, 32, 32)
    box = x[:, :, 4:20, 8:28]  # 16 high, 20 wide
    expected = F.interpolate(box, (32, 32), mode="bilinear", align_corners=False)
    share = [torch.tensor([v / 32]) for v in (8, 4, 20, 16)]
    ours = crop(x, *share, torch.ones(1))
    # at the border interpolate repeats the box's edge, a crop of the image sees one pixel further
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=1e-5, rtol=0)


def test_draws_fill_their_ranges():
    torch.manual_seed(0)
    n = 4000
    x = torch.zeros(n, 1, 32, 32)
    x[:, :, 12:20, 12:20] = 1.0
    views = RandomAffine(10.0, 0.07, (0.9, 1.1))(x)
    area = views.sum((1, 2, 3)) / 64
    assert area.min() == pytest.approx(0.81, abs=0.03)
    assert area.max() == pytest.approx(1.21, abs=0.04)
    column = (views.sum(2)[:, 0] * torch.arange(32)).sum(1) / views.sum((1, 2, 3)) - 15.5
    assert column.abs().max() == pytest.approx(0.07 * 32, abs=0.15)
    ramp = torch.linspace(0, 1, 32).expand(n, 1, 32, 32)
    crops = RandomCropFlip(0.2)(ramp)
    rising = crops[:, 0, 0, -1] > crops[:, 0, 0, 0]
    assert float(rising.float().mean()) == pytest.approx(0.5, abs=0.03)
    width = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0]).abs()
    assert width.min() < 0.5
    assert width.max() > 0.95
