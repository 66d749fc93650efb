"""ResNets and vision transformers: known sizes, shapes, refusals, stacking."""

import copy
import functools
import math

import numpy as np
import pytest
import torch
from torch.func import functional_call, stack_module_state

from sslmemo.encoders import ENCODERS, build_encoder, output_dim
from sslmemo.encoders.resnet import resnet9, resnet34, resnet50
from sslmemo.encoders.vit import (
    ViT,
    patch_size,
    patchify,
    positions,
    take,
    unpatchify,
    vit_small,
    vit_tiny,
)
from sslmemo.randomness import seeded

NARROW = {
    "resnet9": functools.partial(resnet9, width=4),
    "resnet34": functools.partial(resnet34, width=4),
    "resnet50": functools.partial(resnet50, width=4),
    "vit_tiny": functools.partial(vit_tiny, width=16, depth=2, heads=2),
    "vit_small": functools.partial(vit_small, width=24, depth=2, heads=3),
}
VISION = ("resnet9", "resnet18", "resnet34", "resnet50", "vit_tiny", "vit_small")


def stirred(module):
    """Away from the start, where a transformer's blocks add nothing."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return module


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet18", 11_176_512),  # torchvision's without the classifier
        ("resnet34", 21_284_672),
        ("resnet50", 23_508_032),
        (
            "vit_tiny",
            5_524_416 - 192 - 197 * 192,
        ),  # timm's without class token and learned positions
        ("vit_small", 21_665_664 - 384 - 197 * 384),
    ],
)
def test_the_sizes_are_the_known_ones_at_224_px(name, count):
    with torch.device("meta"):
        assert n_parameters(build_encoder(name, (3, 224, 224))) == count


def test_resnet9_has_eight_convolutions_of_the_known_widths():
    with torch.device("meta"):
        module = build_encoder("resnet9", (3, 32, 32))
    widths = [m.weight.shape[:2] for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    pairs = [(64, 3), (128, 64), (128, 128), (128, 128)]
    pairs += [(256, 128), (512, 256), (512, 512), (512, 512)]
    assert [tuple(w) for w in widths] == pairs
    assert n_parameters(module) == sum(9 * a * b + 2 * a for a, b in pairs)


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 8, 8)])
def test_images_become_vectors(name, shape):
    module = NARROW[name](shape)
    d = {"resnet9": 32, "resnet34": 32, "resnet50": 128, "vit_tiny": 16, "vit_small": 24}[name]
    assert output_dim(module, shape) == d
    z = module(torch.rand(4, *shape))
    assert z.shape == (4, d)
    assert torch.pdist(z).min() > 0  # tells images apart


@pytest.mark.parametrize("name", VISION)
def test_a_table_is_refused_with_the_mend(name):
    with pytest.raises(ValueError, match=r"reads images .*image_shape=, or encoder='mlp'"):
        build_encoder(name, (30,))


@pytest.mark.parametrize("name", ["resnet9", "resnet34", "resnet50"])
def test_the_stem_suits_the_size(name):
    assert NARROW[name]((3, 32, 32))[0].kernel_size == (3, 3)
    assert NARROW[name]((3, 64, 64))[0].kernel_size == (7, 7)
    assert ENCODERS[name] is NARROW[name].func


def test_stages_halve_the_image():
    x = torch.zeros(2, 3, 32, 32)
    sizes = []
    for layer in NARROW["resnet50"]((3, 32, 32)).eval():
        x = layer(x)
        sizes.append(x.shape[-1])
    assert sizes[3:19] == [32] * 3 + [16] * 4 + [8] * 6 + [4] * 3


@pytest.mark.parametrize("name", NARROW)
def test_weights_follow_the_seed(name):
    def build(seed):
        with seeded(seed):
            return NARROW[name]((1, 8, 8)).state_dict()

    a, b, c = build(0), build(0), build(1)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_blocks_start_as_the_identity_and_wake_up():
    module = NARROW["vit_tiny"]((1, 8, 8))
    x = torch.randn(2, 5, 16)
    assert torch.equal(module.blocks(x), x)
    spread = torch.cat([b.qkv.weight.flatten() for b in module.blocks]).std()
    assert float(spread.detach()) == pytest.approx(16**-0.5, rel=0.1)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(2):  # the outputs move first, then what stands before them
        before = module.blocks[0].qkv.weight.detach().clone()
        optimizer.zero_grad()
        module(torch.rand(4, 1, 8, 8)).square().sum(0)[0].backward()
        optimizer.step()
    assert not torch.equal(module.blocks[0].qkv.weight, before)


@pytest.mark.parametrize("name", NARROW)
def test_a_stack_equals_one_at_a_time(name):
    """Outputs, gradients and BatchNorm's buffers, to float64's precision."""
    modules = [stirred(NARROW[name]((1, 8, 8)).double()) for _ in range(3)]
    x = torch.rand(3, 6, 1, 8, 8, dtype=torch.float64)
    skeleton = copy.deepcopy(modules[0])
    params, buffers = stack_module_state(modules)

    def forward(p, b, x):
        return functional_call(skeleton, (p, b), (x,))

    together = torch.vmap(forward, randomness="different")(params, buffers, x)
    together.square().sum().backward()
    for i, module in enumerate(modules):
        z = module(x[i])
        z.square().sum().backward()
        assert torch.allclose(together[i], z, rtol=0, atol=1e-10)
        for k, p in module.named_parameters():
            atol = 1e-10 * (1 + float(p.grad.abs().max()))
            assert torch.allclose(params[k].grad[i], p.grad, rtol=0, atol=atol), k
        for k, b in module.named_buffers():
            assert torch.allclose(buffers[k][i], b, rtol=0, atol=1e-10), k


@pytest.mark.parametrize(
    ("size", "patch"),
    [((28, 28), 4), ((32, 32), 4), ((64, 64), 8), ((96, 96), 12), ((128, 128), 16)]
    + [((224, 224), 16), ((8, 8), 2), ((30, 30), 3), ((48, 32), 4), ((25, 25), 5), ((34, 34), 2)],
)
def test_patch_size_is_a_divisor_near_an_eighth(size, patch):
    assert patch_size((3, *size)) == patch


@pytest.mark.parametrize("size", [(31, 31), (28, 25), (38, 19)])
def test_an_image_that_no_patch_divides_is_refused(size):
    with pytest.raises(ValueError, match=r"no square patch .*pad or crop"):
        patch_size((1, *size))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 5}, "patch=5 does not divide images of 28 x 28 px"),
        ({"width": 50, "heads": 3}, "width=50 must be a multiple of 4 and of heads=3"),
        ({"width": 30, "heads": 3}, "width=30 must be a multiple of 4 and of heads=3"),
        ({"depth": 0}, "depth must be an int of at least 1"),
        ({"heads": 0}, "heads must be an int of at least 1"),
        ({"patch": -4}, "patch must be an int of at least 1"),
    ],
)
def test_transformers_refuse_what_does_not_divide(options, message):
    with pytest.raises(ValueError, match=message):
        vit_tiny((1, 28, 28), **options)


@pytest.mark.parametrize(("shape", "patch"), [((3, 8, 12), 4), ((1, 28, 28), 4), ((2, 6, 6), 3)])
def test_patches_are_the_images_squares_row_by_row(shape, patch):
    x = torch.rand(2, *shape)
    patches = patchify(x, patch)
    columns = shape[2] // patch
    for n in range(patches.shape[1]):
        top, left = n // columns * patch, n % columns * patch
        square = x[:, :, top : top + patch, left : left + patch]
        assert torch.equal(patches[:, n], square.flatten(1))
    assert torch.equal(unpatchify(patches, patch, shape), x)


def test_positions_equal_a_slow_transcription():
    rows, columns, width = 3, 4, 16
    expected = np.zeros((rows * columns, width))
    for r in range(rows):
        for c in range(columns):
            for k in range(width // 4):
                rate = 10_000 ** (-k / (width // 4))
                code = [math.sin(r * rate), math.cos(r * rate), math.sin(c * rate)]
                code.append(math.cos(c * rate))
                expected[r * columns + c, k :: width // 4] = code
    got = positions((rows, columns), width)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)
    assert len(np.unique(got.numpy().round(4), axis=0)) == rows * columns


def test_attention_equals_a_slow_transcription():
    block = stirred(ViT((1, 8, 8), width=8, depth=1, heads=2).double()).blocks[0]
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    got = block.attend(x).detach().numpy()
    w, b = block.qkv.weight.detach().numpy(), block.qkv.bias.detach().numpy()
    expected = np.zeros((2, 5, 8))
    for i in range(2):
        q, k, v = np.split(x[i].numpy() @ w.T + b, 3, axis=1)
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            for t in range(5):
                weights = np.exp([q[t, own] @ k[u, own] / 2 for u in range(5)])  # 2 = sqrt(4)
                expected[i, t, own] = weights / weights.sum() @ v[:, own]
    out = block.out
    expected = expected @ out.weight.detach().numpy().T + out.bias.detach().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_attention_equals_torchs():
    block = stirred(ViT((1, 8, 8), width=8, depth=1, heads=2)).blocks[0]
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(block.qkv.weight)
        reference.in_proj_bias.copy_(block.qkv.bias)
        reference.out_proj.load_state_dict(block.out.state_dict())
        x = torch.randn(2, 5, 8)
        assert torch.allclose(block.attend(x), reference(x, x, x)[0], atol=1e-5)


def test_some_patches_are_encoded_as_if_the_others_did_not_exist():
    module = stirred(NARROW["vit_tiny"]((1, 8, 8)).double())
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    patches = patchify(x, module.patch)
    kept = torch.rand(3, module.n_patches).argsort(1)[:, :5]
    tokens = module.encode(patches, kept)
    assert tokens.shape == (3, 5, 16)
    hidden = torch.ones(3, module.n_patches, dtype=torch.bool).scatter(1, kept, False)
    other = torch.where(hidden[..., None], torch.rand_like(patches), patches)
    assert torch.equal(module.encode(other, kept), tokens)
    assert not torch.allclose(module.encode(other), module.encode(patches))
    # all patches in another order give the same tokens in that order
    order = torch.rand(3, module.n_patches).argsort(1)
    assert torch.allclose(module.encode(patches, order), take(module.encode(patches), order))


def test_tokens_know_their_place():
    module = stirred(NARROW["vit_tiny"]((1, 8, 8)).double())
    x = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    shuffled = patchify(x, 2)[:, torch.randperm(16)]
    assert not torch.allclose(module(unpatchify(shuffled, 2, (1, 8, 8))), module(x), atol=1e-6)
