"""Masked autoencoders: exact masks, the loss on hidden patches alone, no leak from them."""

import copy
import functools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.func import functional_call, stack_module_state

from sslmemo import MemorizationEstimator, MemorizationResult, SSLEncoder
from sslmemo.encoders import build_encoder
from sslmemo.encoders.vit import patchify, vit_tiny
from sslmemo.estimates import Difference
from sslmemo.measurements import Reconstruction
from sslmemo.methods import MAE, get_method
from sslmemo.methods.mae import n_visible, painting_loss
from sslmemo.randomness import derive_seed

SHAPE = (1, 8, 8)  # 16 patches of 2 x 2 px


def encoder_of(shape=SHAPE):
    return vit_tiny(shape, width=16, depth=2, heads=2)


def built(method=None, shape=SHAPE):
    method = method or MAE(decoder_width=12, decoder_depth=1, decoder_heads=2)
    return stirred(method.build(encoder_of(shape), 16).double())


def stirred(module):
    """Away from the start, where blocks add nothing and every painting is black."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return module


def images(b, shape=SHAPE):
    return torch.rand(1, b, *shape, dtype=torch.float64)


def noise_of(b, n, seed=0):
    return {"noise": torch.rand(b, n, generator=torch.Generator().manual_seed(seed))}


# the loss


@pytest.mark.parametrize("normalize", [False, True])
def test_the_loss_equals_a_slow_transcription(normalize):
    rng = np.random.default_rng(0)
    painted, patches = rng.random((2, 3, 8)), rng.random((2, 3, 8))
    expected = np.zeros(2)
    for i in range(2):
        for m in range(3):
            target = patches[i, m]
            if normalize:
                target = (target - target.mean()) / np.sqrt(target.var(ddof=1) + 1e-6)
            for p in range(8):
                expected[i] += (painted[i, m, p] - target[p]) ** 2 / (3 * 8)
    got = painting_loss(torch.tensor(painted), torch.tensor(patches), normalize).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_a_constant_patch_is_no_division_by_zero():
    loss = painting_loss(torch.zeros(1, 2, 4), torch.full((1, 2, 4), 0.3), True)
    assert loss.abs().max() < 1e-6


def test_the_loss_gradient():
    painted = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    patches = torch.randn(2, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: painting_loss(x, patches, True), (painted,))


# masks


@pytest.mark.parametrize(
    ("n", "ratio", "visible"), [(49, 0.75, 12), (16, 0.75, 4), (64, 0.5, 32), (16, 0.9, 2)]
)
def test_the_hidden_share_is_exact(n, ratio, visible):
    assert n_visible(n, ratio) == visible


@pytest.mark.parametrize("ratio", [0.01, 0.99, 1.0])
def test_nothing_seen_or_nothing_hidden_is_refused(ratio):
    with pytest.raises(ValueError, match=r"mask_ratio=.* toward 0.5"):
        built(MAE(mask_ratio=ratio))


def test_masks_come_from_the_generator_and_are_uniform():
    method = MAE()
    draw = lambda seed, b: method.draws(torch.Generator().manual_seed(seed), b, (1, 28, 28))  # noqa: E731
    noise = draw(0, 4000)["noise"]
    assert noise.shape == (4000, 49)
    assert torch.equal(noise, draw(0, 4000)["noise"])
    assert not torch.equal(noise, draw(1, 4000)["noise"])
    visible = torch.zeros(4000, 49).scatter(1, noise.argsort(1)[:, :12], 1.0)
    assert (visible.sum(1) == 12).all()
    rate, error = 12 / 49, np.sqrt(12 / 49 * 37 / 49 / 4000)
    assert (visible.mean(0) - rate).abs().max() < 4.5 * error


def test_the_smallest_noise_is_what_the_encoder_sees():
    module, views, draws = built(), images(5), noise_of(5, 16)
    seen = []
    encode = module.encoder.encode

    def watched(patches, kept):
        seen.append(kept)
        return encode(patches, kept)

    module.encoder.encode = watched
    module(views, draws, 0.0)
    for i in range(5):
        smallest = set(np.argsort(draws["noise"][i].numpy())[:4].tolist())
        assert set(seen[0][i].tolist()) == smallest
    assert seen[0].shape == (5, 4)


# what sees what


def test_the_whole_equals_its_parts():
    module, views, draws = built(), images(5), noise_of(5, 16)
    loss, per_row, z = module(views, draws, 0.3)
    patches = patchify(views[0], 2).numpy()
    for i in range(5):  # one image at a time, in another order of patches
        order = np.argsort(draws["noise"][i].numpy())
        visible, hidden = np.sort(order[:4]), np.sort(order[4:])
        kept = torch.tensor(visible)[None]
        tokens = module.encoder.encode(patchify(views[0, i : i + 1], 2), kept)
        asked = torch.tensor(hidden)[None]
        painted = module.decode(tokens, kept, asked).detach().numpy()[0]
        target = patches[i, hidden]
        spread = np.sqrt(target.var(1, ddof=1, keepdims=True) + 1e-6)
        target = (target - target.mean(1, keepdims=True)) / spread
        assert float(per_row[i].detach()) == pytest.approx(((painted - target) ** 2).mean())
        torch.testing.assert_close(z[0, i], tokens[0].mean(0))
    assert z.shape == (1, 5, 16)
    assert float(loss.detach()) == pytest.approx(float(per_row.detach().mean()))


def test_hidden_pixels_reach_the_target_only():
    module, views, draws = built(), images(5), noise_of(5, 16)
    hidden = draws["noise"].argsort(1)[:, 4:]
    mask = torch.zeros(5, 16, dtype=torch.bool).scatter(1, hidden, True)
    squares = mask.reshape(5, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    other = torch.where(squares[None], torch.rand_like(views), views)
    painted = []
    module.paint.register_forward_hook(lambda _, args, out: painted.append(out))
    _, per_row, z = module(views, draws, 0.0)
    _, other_rows, other_z = module(other, draws, 0.0)
    assert torch.equal(z, other_z)
    assert torch.equal(*painted)
    assert (per_row != other_rows).all()


def test_the_loss_reads_hidden_patches_only():
    module, draws = built(MAE(normalize_patches=False, decoder_width=8)), noise_of(3, 16)
    views = images(3).requires_grad_()
    # with a decoder that paints 0 whatever it sees, only the targets carry a gradient
    with torch.no_grad():
        module.paint.weight.zero_()
        module.paint.bias.zero_()
    _, per_row, _ = module(views, draws, 0.0)
    per_row.sum().backward()
    patches = patchify(views.grad[0], 2).abs().sum(2) > 0
    order = draws["noise"].argsort(1)
    assert not patches.gather(1, order[:, :4]).any()
    assert patches.gather(1, order[:, 4:]).all()
    hidden = patchify(views[0].detach(), 2).gather(1, order[:, 4:, None].expand(-1, -1, 4))
    torch.testing.assert_close(per_row.detach(), hidden.square().mean((1, 2)))


def test_a_row_is_painted_by_itself():
    module, views, draws = built(), images(6), noise_of(6, 16)
    _, per_row, _ = module(views, draws, 0.0)
    _, some, _ = module(views[:, 2:4], {"noise": draws["noise"][2:4]}, 0.0)
    torch.testing.assert_close(per_row[2:4], some)


def test_every_parameter_learns():
    module = built()
    module(images(5), noise_of(5, 16), 0.0)[0].backward()
    assert all(p.grad.abs().max() > 0 for p in module.parameters())


def test_the_representation_is_the_encoders_of_the_whole_image():
    from sslmemo.training.model import TorchModel

    module = built().float()
    x = torch.rand(5, *SHAPE)
    model, expected = TorchModel(module), module.encoder(x).detach()
    torch.testing.assert_close(model.embed(x), expected)
    torch.testing.assert_close(model.embed(x, "projector"), expected)


# as a method


def test_a_stack_equals_one_at_a_time():
    method = MAE(decoder_width=12, decoder_depth=1, decoder_heads=2)
    modules = [built(method) for _ in range(3)]
    skeleton = copy.deepcopy(modules[0])
    params, buffers = stack_module_state(modules)

    def forward(p, b, v, d, progress):
        return functional_call(skeleton, (p, b), (v, d, progress))

    together = torch.vmap(forward, in_dims=(0, 0, 0, 0, None), randomness="different")
    optimizers = [torch.optim.SGD(m.parameters(), 0.01, 0.9) for m in modules]
    stacked = torch.optim.SGD(params.values(), 0.01, 0.9)
    for step in range(3):
        views = torch.stack([images(6) for _ in modules])
        draws = [noise_of(6, 16, 10 * step + i) for i in range(3)]
        joint = {"noise": torch.stack([d["noise"] for d in draws])}
        loss, per_row, z = together(params, buffers, views, joint, step / 3)
        stacked.zero_grad()
        loss.sum().backward()
        stacked.step()
        for i, module in enumerate(modules):
            own, own_rows, own_z = module(views[i], draws[i], step / 3)
            optimizers[i].zero_grad()
            own.backward()
            optimizers[i].step()
            assert own.dtype == torch.float64
            torch.testing.assert_close(per_row[i], own_rows, rtol=0, atol=1e-9)
            torch.testing.assert_close(z[i], own_z, rtol=0, atol=1e-9)
    for i, module in enumerate(modules):
        for k, v in module.state_dict().items():
            torch.testing.assert_close({**params, **buffers}[k][i], v, rtol=0, atol=1e-8)


def test_half_precision_is_raised_for_the_loss():
    module, draws = built().float(), noise_of(6, 16)
    views = images(6).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, per_row, _ = module(views, draws, 0.5)
    assert loss.dtype == per_row.dtype == torch.float32
    torch.testing.assert_close(per_row, module(views, draws, 0.5)[1], rtol=0.1, atol=0.1)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_another_encoder_is_refused_with_the_mend(name):
    with pytest.raises(ValueError, match=r"vision transformer: pass encoder='vit_tiny'.*got Seq"):
        get_method("mae").build(build_encoder(name, SHAPE), 64)


def test_refusals():
    with pytest.raises(ValueError, match=r"patches of 2 px .*patch=4: leave patch=None"):
        MAE().build(vit_tiny(SHAPE, patch=4, width=16, depth=1, heads=2), 16)
    with pytest.raises(ValueError, match="decoder_width=30 must be a multiple of 4"):
        built(MAE(decoder_width=30, decoder_heads=3))
    for name, value in {"mask_ratio": 0.0, "decoder_depth": 0, "decoder_heads": 0}.items():
        with pytest.raises(ValueError, match=f"{name} must be"):
            built(MAE(**{name: value}))


def test_it_trains_and_represents(digits):
    X, _ = digits
    make = lambda: SSLEncoder(  # noqa: E731
        MAE(decoder_width=16, decoder_depth=1), functools.partial(encoder_of, X.shape[1:]),
        epochs=3, batch_size=40, random_state=0, device="cpu",
    )  # fmt: skip
    z = make().fit(X).transform(X)
    assert z.shape == (120, 16)
    assert np.array_equal(z, make().fit(X).transform(X))
    with pytest.raises(ValueError, match="must be a vision transformer"):
        SSLEncoder("mae", epochs=1).fit(X)


def test_it_learns_to_paint():
    """Slopes: the hidden pixels follow from the visible ones and from where both are."""
    torch.manual_seed(0)
    method = MAE(normalize_patches=False, decoder_width=16, decoder_depth=1)
    module = method.build(vit_tiny(SHAPE, width=16, depth=1, heads=2), 16)
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
    losses = []
    for step in range(150):
        level, right, down = torch.rand(3, 32, 1, 1)
        place = torch.linspace(-1, 1, 8)
        views = (level + right * place + down * place[:, None])[None, :, None]
        draws = method.draws(torch.Generator().manual_seed(step), 32, SHAPE)
        loss = module(views, draws, step / 150)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    blind = (1 + 2 * float(place.square().mean())) / 12  # variance of a pixel, its place known
    assert np.mean(losses[:5]) > 2 * blind
    assert np.mean(losses[-30:]) < 0.7 * blind


def test_memorization_in_terms_of_its_own_reconstruction():
    X = load_digits().images[:60, None].astype(np.float32) / 16
    est = MemorizationEstimator(
        MAE(decoder_width=16, decoder_depth=1, decoder_heads=2), encoder=encoder_of, n_encoders=4,
        epochs=2, n_views=2, measurements=[Reconstruction(n_views=3)], keep_encoders=True,
        random_state=0, verbose=0,
    ).fit(X)  # fmt: skip
    run = est.result_.run
    by_view = run.values["reconstruction_by_view"]
    assert by_view.shape == (4, 60, 3)
    # the loss by hand, from the kept encoder, on the masks of its block
    model = est._fitted_trainer.restore(run.models[0])
    rng = torch.Generator().manual_seed(derive_seed(run.plan.seed_of(0), "masks", 0) % 2**63)
    noise = [MAE().draws(rng, 60, (1, 8, 8)) for _ in range(3)]
    with torch.no_grad():
        _, loss, _ = model.module.eval()(torch.from_numpy(X)[None], noise[1], 0.0)
    np.testing.assert_allclose(by_view[0, :, 1], loss, rtol=1e-5)
    assert not np.allclose(by_view[0, :, 0], by_view[0, :, 1])
    own = MemorizationResult(run, Difference(of="reconstruction"))
    out, inside = (
        np.array([by_view[side[:, i], i].mean() for i in range(60)])
        for side in (run.plan.as_g, run.plan.as_f)
    )
    np.testing.assert_allclose(own.score, out - inside, rtol=1e-4, atol=1e-6)
    assert np.isfinite(own.scores.view_variance).all()


def test_reconstruction_refuses_what_does_not_paint():
    X = load_digits().images[:40, None].astype(np.float32) / 16
    est = MemorizationEstimator(
        n_encoders=4, epochs=1, n_views=2, measurements=[Reconstruction()], verbose=0
    )
    with pytest.raises(TypeError, match="models that paint"):
        est.fit(X)
    with pytest.raises(ValueError, match="n_views"):
        Reconstruction(n_views=0)
