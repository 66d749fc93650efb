"""SwAV, DINO and EMP-SSL against slow, literal transcriptions and analytic values."""

import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call, stack_module_state

from sslmemo.augmentations.geometry import crop
from sslmemo.methods import DINO, EMPSSL, SwAV
from sslmemo.methods.dino import moved_centre, teacher_temperature_at
from sslmemo.methods.emp_ssl import mean_view_distance, total_coding_rate
from sslmemo.methods.prototypes import (
    Prototypes,
    local_boxes,
    resized,
    swapped_entropy,
    with_local_views,
)
from sslmemo.methods.swav import sinkhorn

SMALL = {"n_prototypes": 12, "hidden_dim": 16, "projection_dim": 8}
KINDS = [
    SwAV(**SMALL),
    SwAV(**SMALL, n_local=2),
    DINO(**SMALL),
    DINO(**SMALL, n_local=1),
    EMPSSL(n_views=3, hidden_dim=16, projection_dim=8),
]
IDS = ["swav", "swav-local", "dino", "dino-local", "emp_ssl"]


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def encoder_of(shape=(1, 8, 8), d=10):
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), d), torch.nn.BatchNorm1d(d)
    )


def drawn(method, seed, batch=6, shape=(1, 8, 8)):
    return method.draws(torch.Generator().manual_seed(seed), batch, shape)


# Sinkhorn and the swapped prediction


def naive_sinkhorn(scores, epsilon, n_iterations):
    """The paper's listing: Q is (K, b), clusters are balanced first, samples last."""
    q = np.exp(scores / epsilon).T
    q /= q.sum()
    k, b = q.shape
    for _ in range(n_iterations):
        for i in range(k):
            q[i] /= q[i].sum() * k
        for j in range(b):
            q[:, j] /= q[:, j].sum() * b
    return (q * b).T


@pytest.mark.parametrize("n_iterations", [1, 3, 20])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_sinkhorn_equals_the_papers_listing(n_iterations, epsilon):
    scores = np.random.default_rng(0).uniform(-1, 1, (10, 4))
    got = sinkhorn(torch.tensor(scores), epsilon, n_iterations).numpy()
    np.testing.assert_allclose(got, naive_sinkhorn(scores, epsilon, n_iterations), rtol=1e-9)


def test_sinkhorn_reaches_the_balanced_fixed_point():
    scores = torch.tensor(np.random.default_rng(1).uniform(-1, 1, (12, 5)))
    q = sinkhorn(scores, 0.2, 2000)
    np.testing.assert_allclose(q.sum(1).numpy(), 1, rtol=1e-12)
    np.testing.assert_allclose(q.sum(0).numpy(), 12 / 5, rtol=1e-9)
    # the optimum of the entropic problem is diag(u) exp(scores / epsilon) diag(v)
    scaled = (q.log() - scores / 0.2).numpy()
    interaction = scaled - scaled.mean(0) - scaled.mean(1, keepdims=True) + scaled.mean()
    np.testing.assert_allclose(interaction, 0, atol=1e-9)


def test_few_rounds_balance_samples_exactly_and_clusters_nearly():
    scores = torch.tensor(np.random.default_rng(2).uniform(-1, 1, (50, 5)))
    assignments = [(scores / 0.1).softmax(1)] + [sinkhorn(scores, 0.1, n) for n in (1, 3, 10, 100)]
    assert all(torch.allclose(q.sum(1), torch.ones(50, dtype=q.dtype)) for q in assignments)
    imbalance = [float((q.sum(0) - 10).abs().max()) for q in assignments]
    assert imbalance == sorted(imbalance, reverse=True)
    assert imbalance[0] > 2 * imbalance[2]
    assert imbalance[-1] < 0.01


def test_sinkhorn_is_finite_at_a_sharpness_that_overflows_the_exponential():
    q = sinkhorn(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), 1e-3, 3)
    np.testing.assert_allclose(q.numpy(), np.eye(2), atol=1e-12)


def naive_swapped(targets, logits):
    n_targets, n_views = len(targets), len(logits)
    per_row = np.zeros(targets.shape[1])
    for i in range(targets.shape[1]):
        for t in range(n_targets):
            for v in range(n_views):
                if v != t:
                    p = np.exp(logits[v, i]) / np.exp(logits[v, i]).sum()
                    per_row[i] -= (targets[t, i] * np.log(p)).sum()
    return per_row / (n_targets * (n_views - 1))


@pytest.mark.parametrize("n_views", [2, 5])
def test_swapped_entropy_equals_a_slow_transcription(n_views):
    logits, targets = normal(n_views, 4, 3), normal(2, 4, 3).softmax(2)
    got = swapped_entropy(targets, logits).numpy()
    np.testing.assert_allclose(got, naive_swapped(targets.numpy(), logits.numpy()), rtol=1e-10)


def test_swapped_entropy_of_uniform_predictions():
    got = swapped_entropy(normal(2, 3, 7).softmax(2), torch.zeros(4, 3, 7, dtype=torch.float64))
    np.testing.assert_allclose(got.numpy(), np.log(7), rtol=1e-12)


def test_swapped_entropy_gradient_and_where_it_stops():
    logits, targets = normal(3, 2, 4).requires_grad_(), normal(2, 2, 4).softmax(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: swapped_entropy(targets.detach(), x), (logits,))
    swapped_entropy(targets, logits).sum().backward()
    assert targets.grad is None
    assert not sinkhorn(logits[0], 0.1, 3).requires_grad


def test_prototypes_are_directions():
    prototypes = Prototypes(5, 3).double()
    z = normal(4, 3)
    got = prototypes(z).detach().numpy()
    for i in range(4):
        for k in range(5):
            a, b = z[i].numpy(), prototypes.weight[k].detach().numpy()
            assert got[i, k] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    with torch.no_grad():
        prototypes.weight.mul_(3)
    np.testing.assert_allclose(prototypes(5 * z).detach().numpy(), got, atol=1e-12)
    assert prototypes(z).requires_grad
    assert not prototypes(z, frozen=True).requires_grad


def test_swav_in_whole_equals_its_parts():
    method = SwAV(**SMALL, freeze_prototypes=0.5)
    module = method.build(encoder_of(), 10).double()
    views = normal(2, 6, 1, 8, 8)
    loss, per_row, z = module(views, {}, 0.6)
    h = torch.cat([*views])
    scores = module.prototypes(module.projector(module.encoder(h))).detach().numpy()
    codes = np.stack([naive_sinkhorn(s, 0.03, 3) for s in (scores[:6], scores[6:])])
    logits = np.stack([scores[:6], scores[6:]]) / 0.1
    np.testing.assert_allclose(per_row.detach().numpy(), naive_swapped(codes, logits), rtol=1e-8)
    assert float(loss.detach()) == pytest.approx(float(per_row.detach().mean()))
    assert torch.equal(z, module.encoder(h).unflatten(0, (2, 6)))
    loss.backward()
    assert module.prototypes.weight.grad.abs().max() > 0
    module.zero_grad()
    module(views, {}, 0.4)[0].backward()
    assert module.prototypes.weight.grad is None


# local views


def test_boxes_lie_inside_and_have_the_stated_areas():
    boxes = local_boxes(torch.Generator().manual_seed(0), 500, (1, 28, 28), 3, (0.2, 0.5))["boxes"]
    assert boxes.shape == (3, 500, 4)
    start, sides = boxes[..., :2], boxes[..., 2:]
    assert start.min() >= 0
    assert (start + sides).max() <= 1 + 1e-6
    area = sides.prod(-1)
    assert 0.2 - 1e-6 <= area.min() < 0.21
    assert 0.49 < area.max() <= 0.5 + 1e-6
    ratio = sides[..., 0] / sides[..., 1]
    assert 3 / 4 - 1e-6 <= ratio.min() < 0.76
    assert 1.32 < ratio.max() <= 4 / 3 + 1e-6
    again = local_boxes(torch.Generator().manual_seed(0), 500, (1, 28, 28), 3, (0.2, 0.5))["boxes"]
    assert torch.equal(boxes, again)
    assert local_boxes(torch.Generator(), 500, (5,), 0, (0.2, 0.5)) == {}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 7)])
def test_local_views_equal_the_augmentations_crop(shape):
    views = torch.rand(4, 5, *shape)
    draws = local_boxes(torch.Generator().manual_seed(0), 5, shape, 2, (0.1, 0.9))
    got = with_local_views(views, draws)
    assert torch.equal(got[:2], views[:2])
    for v in range(2):
        expected = crop(views[2 + v], *draws["boxes"][v].unbind(1), torch.ones(5))
        torch.testing.assert_close(got[2 + v], expected, rtol=0, atol=1e-5)


def test_the_whole_image_as_a_box_is_the_image():
    views = torch.rand(1, 2, 3, 6, 9, dtype=torch.float64)
    whole = torch.tensor([0.0, 0, 1, 1], dtype=torch.float64).expand(1, 2, 4)
    torch.testing.assert_close(resized(views, whole), views, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [SwAV, DINO])
def test_local_views_of_a_table_are_refused(kind):
    method = kind(n_local=2)
    assert (method.n_views, kind().n_views) == (4, 2 + kind().n_local)
    with pytest.raises(ValueError, match=r"n_local=2 .*use n_local=0"):
        method.draws(torch.Generator(), 4, (30,))
    for scale in ((0.5, 0.2), (0, 0.5), (0.5, 1.5)):
        with pytest.raises(ValueError, match="local_scale must be .*ascending"):
            kind(local_scale=scale).build(encoder_of(), 10)


# DINO


def test_dino_in_whole_equals_the_papers_algorithm():
    method = DINO(**SMALL, warmup_temperature=0.02, teacher_temperature=0.06, warmup=0.5,
                  center_momentum=0.8)  # fmt: skip
    module = method.build(encoder_of(), 10).double()
    with torch.no_grad():
        module.center.normal_(std=0.1)
        for p in module.slow.parameters():
            p.add_(0.1 * torch.randn_like(p))  # teacher and student differ
    views, center = normal(2, 6, 1, 8, 8), module.center.numpy().copy()
    student = copy.deepcopy(module)
    loss, per_row, z = module(views, {}, 0.25)

    both = torch.cat([*views])
    h = student.encoder(both)
    s = student.prototypes(student.projector(h)).detach().numpy().reshape(2, 6, 12) / 0.1
    t = student.slow(both).detach().numpy().reshape(2, 6, 12)
    sharp = np.exp((t - center) / 0.04)  # half way through the warm-up
    sharp /= sharp.sum(2, keepdims=True)
    np.testing.assert_allclose(per_row.detach().numpy(), naive_swapped(sharp, s), rtol=1e-8)
    moved = 0.8 * center + 0.2 * np.mean([t[v, i] for v in range(2) for i in range(6)], axis=0)
    np.testing.assert_allclose(module.center.numpy(), moved, rtol=1e-10)
    assert float(loss.detach()) == pytest.approx(float(per_row.detach().mean()))
    assert torch.equal(z, h.unflatten(0, (2, 6)))


def test_the_teacher_sees_global_views_and_gets_no_gradient():
    module = DINO(**SMALL, n_local=2, freeze_prototypes=0.0).build(encoder_of(), 10).double()
    seen = []
    module.slow.encoder.register_forward_hook(lambda _, args, out: seen.append(args[0]))
    views = normal(4, 6, 1, 8, 8)
    module(views, drawn(DINO(n_local=2), 0), 0.0)[0].backward()
    assert torch.equal(seen[0], views[:2].flatten(0, 1))
    assert all(p.grad is None and not p.requires_grad for p in module.slow.parameters())
    students = [p for k, p in module.named_parameters() if not k.startswith("slow.")]
    assert all(p.grad.abs().max() > 0 for p in students if p.ndim > 1)


def test_the_teacher_starts_as_the_student_and_follows_by_hand():
    method = DINO(**SMALL, momentum=0.9)
    module = method.build(encoder_of(), 10)
    parameters = dict(module.named_parameters())
    pairs = [(k, k.removeprefix("slow.")) for k in parameters if k.startswith("slow.")]
    assert {own for _, own in pairs} == {k for k in parameters if not k.startswith("slow.")}
    assert all(torch.equal(parameters[slow], parameters[own]) for slow, own in pairs)
    with torch.no_grad():
        for _, own in pairs:
            parameters[own].normal_()
        before = {k: p.clone() for k, p in parameters.items()}
        method.after_step(parameters, dict(module.named_buffers()), 0.5)
    momentum = 1 - 0.1 / 2  # half way along the cosine from 0.9 to 1
    for slow, own in pairs:
        expected = momentum * before[slow] + (1 - momentum) * before[own]
        torch.testing.assert_close(parameters[slow], expected)
        assert torch.equal(parameters[own], before[own])


def test_the_teachers_temperature_warms_up_linearly():
    at = [teacher_temperature_at(p, 0.04, 0.07, 0.3) for p in (0, 0.1, 0.2, 0.3, 0.9)]
    assert at == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.07])
    assert teacher_temperature_at(0.0, 0.04, 0.07, 0.0) == 0.07


def test_the_centre_converges_to_a_constant_teachers_mean():
    center, teacher = torch.zeros(3, dtype=torch.float64), normal(2, 5, 3)
    for step in range(1, 60):
        center = moved_centre(center, teacher, 0.7)
        left = 1 - 0.7**step
        np.testing.assert_allclose(center.numpy(), left * teacher.mean((0, 1)).numpy(), rtol=1e-9)


# EMP-SSL


def test_the_coding_rate_equals_slogdet():
    z = np.random.default_rng(0).standard_normal((3, 20, 6))
    z /= np.linalg.norm(z, axis=2, keepdims=True)
    expected = []
    for view in z:
        outer = sum(np.outer(row, row) for row in view)
        expected.append(np.linalg.slogdet(np.eye(6) + 6 / (20 * 0.2) * outer)[1] / 2)
    got = total_coding_rate(torch.tensor(z), 0.2).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_the_coding_rate_of_a_frame_and_of_a_point():
    d, copies, epsilon = 5, 4, 0.3
    frame = torch.eye(d, dtype=torch.float64).repeat(copies, 1)[None]
    frame_rate = float(total_coding_rate(frame, epsilon))
    assert frame_rate == pytest.approx(d / 2 * np.log(1 + 1 / epsilon))
    point = torch.zeros_like(frame)
    point[..., 0] = 1
    assert float(total_coding_rate(point, epsilon)) == pytest.approx(np.log(1 + d / epsilon) / 2)


def test_the_distance_from_the_mean_view_equals_a_slow_transcription():
    z = np.random.default_rng(0).standard_normal((4, 3, 5))
    z /= np.linalg.norm(z, axis=2, keepdims=True)
    expected = np.zeros(3)
    for i in range(3):
        mean = sum(z[v, i] for v in range(4)) / 4
        for v in range(4):
            expected[i] += (1 - z[v, i] @ mean / np.linalg.norm(mean)) / 4
    got = mean_view_distance(torch.tensor(z)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_emp_ssl_gradients():
    z = normal(2, 6, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total_coding_rate(x, 0.2), (z,))
    assert torch.autograd.gradcheck(mean_view_distance, (z,))


def test_emp_ssl_in_whole_equals_its_parts():
    module = EMPSSL(3, 50.0, 0.4, hidden_dim=16, projection_dim=4).build(encoder_of(), 10).double()
    views = normal(3, 6, 1, 8, 8)
    loss, per_row, z = module(views, {}, 0.0)
    h = module.encoder(torch.cat([*views]))
    p = module.projector(h).detach().numpy()
    p = (p / np.linalg.norm(p, axis=1, keepdims=True)).reshape(3, 6, 4)
    rates = [np.linalg.slogdet(np.eye(4) + 4 / (6 * 0.4) * v.T @ v)[1] / 2 for v in p]
    mean = p.mean(0)
    cosine = (p * mean).sum(2) / np.linalg.norm(mean, axis=1)
    np.testing.assert_allclose(per_row.detach().numpy(), 1 - cosine.mean(0), rtol=1e-9)
    expected = 50 * (1 - cosine.mean()) - np.mean(rates)
    assert float(loss.detach()) == pytest.approx(expected)
    assert torch.equal(z, h.unflatten(0, (3, 6)))


# all three


@pytest.mark.parametrize("method", KINDS, ids=IDS)
def test_a_stack_equals_one_at_a_time(method):
    """Three steps with different data and draws, in float64: parameters, buffers and outputs."""
    modules = [method.build(encoder_of(), 10).double().train() for _ in range(3)]
    skeleton = copy.deepcopy(modules[0])
    params, buffers = stack_module_state(modules)

    def forward(p, b, v, d, progress):
        return functional_call(skeleton, (p, b), (v, d, progress))

    together = torch.vmap(forward, in_dims=(0, 0, 0, 0, None), randomness="different")
    # not Adam: it would blow up the rounding of gradients that are 0, of biases before a BatchNorm
    optimizers = [torch.optim.SGD(m.parameters(), 0.01, 0.9) for m in modules]
    stacked = torch.optim.SGD(params.values(), 0.01, 0.9)
    for step in range(3):
        views = normal(3, method.n_views, 6, 1, 8, 8)
        draws = [drawn(method, 10 * step + i) for i in range(3)]
        joint = {k: torch.stack([d[k] for d in draws]) for k in draws[0]}
        loss, per_row, z = together(params, buffers, views, joint, step / 3)
        stacked.zero_grad()
        loss.sum().backward()
        stacked.step()
        with torch.no_grad():
            method.after_step(params, buffers, step / 3)
        for i, module in enumerate(modules):
            own, own_rows, own_z = module(views[i], draws[i], step / 3)
            optimizers[i].zero_grad()
            own.backward()
            optimizers[i].step()
            with torch.no_grad():
                method.after_step(
                    dict(module.named_parameters()), dict(module.named_buffers()), step / 3
                )
            assert own.dtype == torch.float64
            torch.testing.assert_close(per_row[i], own_rows, rtol=0, atol=1e-9)
            torch.testing.assert_close(z[i], own_z, rtol=0, atol=1e-9)
    for i, module in enumerate(modules):
        for k, v in module.state_dict().items():
            torch.testing.assert_close({**params, **buffers}[k][i], v, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", KINDS, ids=IDS)
def test_half_precision_is_raised_for_the_loss(method):
    torch.manual_seed(0)
    module = method.build(encoder_of(), 10)
    views = torch.randn(method.n_views, 6, 1, 8, 8)
    _, exact_rows, _ = module(views, drawn(method, 0), 0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, per_row, _ = module(views, drawn(method, 0), 0.5)
    assert loss.dtype == per_row.dtype == torch.float32
    # a teacher's temperature of 0.04 blows the network's own rounding up
    torch.testing.assert_close(per_row, exact_rows, rtol=0.1, atol=1.0)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize("method", KINDS, ids=IDS)
def test_parameters_are_checked_in_build(method):
    wrong = {
        "temperature": 0.0, "epsilon": -1.0, "n_iterations": 0, "n_prototypes": 0,
        "projection_dim": 0, "hidden_dim": 0, "freeze_prototypes": 1.5, "momentum": 2.0,
        "center_momentum": -0.1, "warmup": 2.0, "teacher_temperature": 0.0,
        "warmup_temperature": 0.0, "n_local": -1, "invariance": 0.0,
    }  # fmt: skip
    own = method.get_params()
    for name in own.keys() & wrong:
        changed = type(method)(**{**own, name: wrong[name]})
        with pytest.raises(ValueError, match=f"{name} must be"):
            changed.build(encoder_of(), 10)
    assert own.keys() - wrong.keys() <= {"local_scale", "n_views"}


def test_emp_ssl_needs_two_views():
    assert (EMPSSL().n_views, EMPSSL(n_views=20).n_views) == (EMPSSL().get_params()["n_views"], 20)
    with pytest.raises(ValueError, match="n_views must be an int of at least 2"):
        EMPSSL(n_views=1).build(encoder_of(), 10)
