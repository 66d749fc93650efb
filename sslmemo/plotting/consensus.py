"""ConsensusDisplay: pictures of the rows that all fits have among their most memorized ones."""

from __future__ import annotations

import numbers

import numpy as np
from scipy import stats

from .._compat import check_in_range
from ..data import as_data
from ..experiments.agreement import consensus
from ..experiments.inputs import refuse_other_rows
from ..experiments.naming import named_results
from ._common import HAIRLINE, INK, MUTED, pyplot

__all__ = ["ConsensusDisplay"]


class ConsensusDisplay:
    """Images that all fits memorize, with their rank in each fit.

    The images are ordered by the probability that they belong to the top of all fits at once; below
    each stands its rank in every fit, dark where it is high. Make it with `from_results`, which
    also draws it.

    Parameters
    ----------
    images : ndarray of shape (n_shown, h, w) or (n_shown, h, w, c)
        In [0, 1], in the order shown.
    rows : ndarray of int, shape (n_shown,)
        Row that each image is.
    probability : ndarray of shape (n_shown,)
        That the row is truly among the top of all fits.
    ranks : ndarray of shape (n_fits, n_shown)
        1 = most memorized; NaN for a row without a score.
    names : list of str
        Of the fits.
    n_samples : int
        Rows in all.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the ranks were drawn.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    AgreementDisplay : How far the fits agree.
    """

    def __init__(self, *, images, rows, probability, ranks, names, n_samples):
        self.images, self.rows, self.probability = images, rows, probability
        self.ranks, self.names, self.n_samples = ranks, names, n_samples

    @classmethod
    def from_results(cls, results, X, *, k=None, n_shown=12, channels="first", image_shape=None,
                     cmap="gray"):  # fmt: skip
        """Find the consensus of several fits and draw it.

        Parameters
        ----------
        results : dict of str to MemorizationResult, or sequence of MemorizationResult
            At least two fits of the same rows.
        X : array-like or dataset
            Those rows, which must be images.
        k : int, default=None
            Size of the top sets; None is 5% of the rows.
        n_shown : int, default=12
            Images, from 1 to the number of rows.
        channels, image_shape
            As in `MemorizationEstimator`.
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        ConsensusDisplay

        Raises
        ------
        TypeError, ValueError
            As `sslmemo.experiments.consensus` says; X has other rows, or they are no images.
        """
        results = named_results(results, least=2)
        data = as_data(X, channels=channels, image_shape=image_shape, unit_range=False)
        table = consensus(results, k)
        if len(data) != len(table) or not data.layout.is_image:
            raise ValueError(
                f"X must hold the {len(table)} images of the fits, got {len(data)} rows of shape "
                f"{data.shape}."
            )
        refuse_other_rows(next(iter(results.values())), data.fingerprint())
        check_in_range("n_shown", n_shown, numbers.Integral, 1, len(data))
        first = table[np.lexsort((table["mean_rank"], -table["probability"]))[:n_shown]]
        ranks = [
            stats.rankdata(-r.score, nan_policy="omit")[first["row"]] for r in results.values()
        ]
        pixels = data.array(first["row"])
        low, high = min(pixels.min(), 0.0), max(pixels.max(), 1.0)
        pixels = (pixels - low) / (high - low)
        images = np.moveaxis(pixels, 1, -1) if data.shape[0] == 3 else pixels[:, 0]
        return cls(
            images=images, rows=first["row"], probability=first["probability"],
            ranks=np.array(ranks), names=list(results), n_samples=len(data),
        ).plot(cmap=cmap)  # fmt: skip

    def plot(self, *, cmap="gray"):
        """Draw images and ranks in a figure of their own.

        Parameters
        ----------
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        ConsensusDisplay
            With `ax_` and `figure_`.
        """
        plt, n, m = pyplot(), len(self.images), len(self.names)
        figure = plt.figure(figsize=(1.6 + 0.72 * n, 1.5 + 0.27 * m), layout="constrained")
        grid = figure.add_gridspec(2, n, height_ratios=[0.72, 0.27 * m])
        for i, (image, row, p) in enumerate(
            zip(self.images, self.rows, self.probability, strict=True)
        ):
            ax = figure.add_subplot(grid[0, i])
            ax.imshow(image, cmap=cmap, vmin=0, vmax=1)
            ax.set_title(f"row {row}", fontsize=7.5, color=INK, pad=2)
            text = f"p {p:.2f}" if p >= 0.005 else "p <0.01"
            ax.set_xlabel(text, fontsize=7.5, color=MUTED, labelpad=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color(HAIRLINE)
        ax = figure.add_subplot(grid[1, :])
        ax.imshow(
            np.log(self.ranks), cmap="Blues_r", vmin=0, vmax=np.log(self.n_samples), aspect="auto"
        )
        for (i, j), rank in np.ndenumerate(self.ranks):
            dark = np.log(rank) < 0.55 * np.log(self.n_samples)
            text = "?" if np.isnan(rank) else f"{rank:.0f}"
            colour = "white" if dark else INK
            ax.text(j, i, text, ha="center", va="center", fontsize=7.5, color=colour)
        ax.set_yticks(range(m), self.names, fontsize=8)
        ax.set_xticks([])
        ax.tick_params(length=0, colors=INK)
        ax.spines[:].set_visible(False)
        figure.suptitle(
            f"Most memorized in all fits: rank among {self.n_samples} rows, and the probability p of "
            "being at the top of all",
            fontsize=9, color=MUTED,
        )  # fmt: skip
        self.ax_, self.figure_ = ax, figure
        return self
