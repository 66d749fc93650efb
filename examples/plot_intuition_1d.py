"""
The idea in one dimension
=========================

Data are numbers, a view adds a little noise, and encoders map numbers onto a circle, where a place is
one angle. One point lies in a crowd, another alone between two crowds. Under f, trained with the
point, and g, trained without it, where do the point's views go?

Neighbours' views overlap those of the crowded point, so g has learned from them what f knows: m(x) is
near 0. Nobody taught g anything about the place of the lone point. It turns there from one crowd to
the other and spreads the point's views over the whole way; f holds them together: m(x) is high. The
alignment of f alone does not show it: the crowded point's views lie further apart, for a crowd
spreads over the circle. Nor is it enough to be alone: a point 1.5 standard deviations beyond the end of
a single crowd scored -0.017 with standard error 0.003 over 6 blocks, for there an encoder is flat by
itself.

Cost: about 30 s on one core. Prints both scores with their standard errors, and writes
intuition_1d.png into the folder given as argument, ``intuition_1d`` by default.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import norm
from torch import nn

from sslmemo import MemorizationEstimator
from sslmemo.designs import LeaveOneOut
from sslmemo.methods import SimCLR

NOISE = 0.15
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#999999"


class AddNoise(nn.Module):
    """The augmentation: (b, 1) -> (b, 1)."""

    def forward(self, x):
        return x + NOISE * torch.randn_like(x)


def encoder():
    """Three layers; SimCLR's projector then leads to the plane, and so to an angle."""
    return nn.Sequential(
        nn.Linear(1, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128)
    )


class Angles:
    """A measurement of one's own: the angle at which every encoder puts given numbers."""

    name = "angles"
    at = (1.0,)

    def __init__(self, x):  # (m,)
        self.x = x

    def config(self):
        return {"measurement": self.name, "x": self.x.tolist()}

    def observer(self, k, n):
        return None

    def __call__(self, models, data, member, seed, observed=None):
        x = torch.tensor(self.x, dtype=torch.float32)[:, None]
        z = np.stack([model.embed(x, "projector").numpy() for model in models])  # (k, m, 2)
        return {"angles": np.arctan2(z[..., 1], z[..., 0])}


def relative(angle, x, views):
    """Angles from the mean of the point's views, in degrees; larger numbers to the right."""
    z = np.exp(1j * angle)
    z /= z[views].mean()
    turn = np.angle(z)
    return np.degrees(turn * np.sign(np.cov(x[views], turn[views])[0, 1]))


def main(folder="intuition_1d", n_blocks=12, epochs=400, n_shown=60):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.r_[np.linspace(-2, -0.8, 15), np.linspace(0.8, 2, 15), 0.0]
    rows /= rows.std()  # as the estimator would: encoders and views know standardised columns
    points = {"in a crowd": 7, "alone": 30}
    quantiles = norm.ppf((np.arange(n_shown) + 0.5) / n_shown)
    views = rows[list(points.values()), None] + NOISE * quantiles  # (2, n_shown)
    x = np.r_[rows, views.ravel()]

    est = MemorizationEstimator(
        SimCLR(projection_dim=2, temperature=1.0), encoder, AddNoise(), layer="projector",
        design=LeaveOneOut(list(points.values())), n_encoders=3 * n_blocks, epochs=epochs,
        learning_rate=1e-2, measurements=[Angles(x)], random_state=0,
    )  # fmt: skip
    result = est.fit(rows[:, None]).result_
    member, angles = est.membership_, result.run.values["angles"]

    figure, axes = plt.subplots(
        2, 3, figsize=(11, 5.4), layout="constrained", width_ratios=(1.3, 1, 1)
    )
    for i, (name, row) in enumerate(points.items()):
        score, error = result.score[row], result.standard_error[row]
        print(f"{name}: m(x) = {score:.3f} with standard error {error:.3f}")
        here = np.arange(n_shown) + len(rows) + i * n_shown
        data, *circles = axes[i]
        draw_data(data, rows, row, views[i])
        data.set_title(f"{name}: m(x) = {score:.3f} ± {error:.3f}", loc="left", weight="bold")
        sides = {"f": (member.all(1), BLUE), "g": (~member[:, row], VERMILLION)}
        for ax, (side, (which, colour)) in zip(circles, sides.items(), strict=True):
            turns = np.array([relative(angle, x, here) for angle in angles[which]])  # (n_blocks, m)
            draw_places(ax, turns[:, here], np.delete(turns[:, : len(rows)], row, axis=1), colour)
            mean = (result.scores.in_mean if side == "f" else result.scores.out_mean)[row]
            seen = "trained with" if side == "f" else "trained without"
            ax.set_title(f"{side}, {seen} it: alignment {mean:.2f}", loc="left", fontsize=10)
    for ax in axes[:, 1]:
        ax.set_ylabel("one line an encoder", color=GREY, loc="bottom", fontsize=9)
    for ax in axes[1, 1:]:
        ax.set_xlabel("angle from the mean of its views, degrees")
    axes[1, 0].set_xlabel("data, in standard deviations")
    figure.savefig(folder / "intuition_1d.png", dpi=150)
    return result


def draw_places(ax, places, others, colour):
    """Every encoder's places of the views and of the other rows, and the views of all encoders above."""
    n = len(places)
    for k in range(n):
        ax.plot(others[k], np.full(others.shape[1], k), "|", color=GREY, markersize=5)
        ax.plot(places[k], np.full(places.shape[1], k), ".", color=colour, markersize=4, alpha=0.5)
    height, edges = np.histogram(places, bins=np.arange(-180, 181, 5), density=True)
    ax.stairs(n + 1 + height * 0.4 * n / 0.02, edges, baseline=n + 1, fill=True, color=colour)
    ax.set(xlim=(-180, 180), xticks=range(-180, 181, 90), ylim=(-1, 2 * n), yticks=[])
    ax.spines[["top", "right", "left"]].set_visible(False)


def draw_data(ax, rows, row, views):
    """The training rows, the point, its views and the density that they are drawn from."""
    grid = np.linspace(-1.8, 1.8, 500)
    density = np.exp(-0.5 * ((grid - rows[row]) / NOISE) ** 2)
    ax.fill_between(grid, density, color=GREY, alpha=0.3, linewidth=0)
    ax.plot(rows, np.zeros_like(rows), "|", color=GREY, markersize=12)
    ax.plot(rows[row], 0, "|", color="black", markersize=18, markeredgewidth=2.5)
    ax.plot(views, np.full_like(views, -0.25), ".", color="black", markersize=4, alpha=0.5)
    ax.text(rows[row], 1.05, "its augmentation set", ha="center", fontsize=9)
    ax.text(rows[row] + 0.6, -0.25, "its views", va="center", fontsize=9)
    ax.set(xlim=(-1.8, 1.8), ylim=(-0.5, 1.3), yticks=[])
    ax.spines[["top", "right", "left"]].set_visible(False)


if __name__ == "__main__":
    main(*sys.argv[1:2])
