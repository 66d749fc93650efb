"""MemorizationResult: a run and the scores estimated from it."""

from __future__ import annotations

import functools
import json

import numpy as np

from .designs import Plan
from .estimates import get_estimate
from .estimates.nulls import noise_band, null_scores
from .estimates.posterior import posterior
from .estimates.reliability import reliability, spearman_reliability
from .estimates.significance import one_sided_p, q_values
from .merge import merge_runs
from .pool import Run
from .store import read_record, write_record
from .table import ScoreTable
from .wording import methods_text, summary

__all__ = ["MemorizationResult"]


class MemorizationResult:
    """Scores of every row with their errors, and the matrices they come from.

    Parameters
    ----------
    run : Run
        Plan, measured matrices and what determined them: public, so that another estimate can be
        tried without training.
    estimate : str or estimate, default="difference"
        See `sslmemo.estimates`.

    Attributes
    ----------
    run : Run
        As given.
    estimate : estimate
        As given, or the object of the name.
    scores : Scores
        What the estimate says of every row.

    Examples
    --------
    >>> import numpy as np
    >>> from sslmemo.designs import Subsample
    >>> from sslmemo.pool import Run
    >>> plan = Subsample().draw(50, 8, entropy=0)
    >>> rng = np.random.default_rng(0)
    >>> alignment = rng.normal(1.0, 0.1, plan.member.shape) - 0.5 * plan.member
    >>> result = MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(4)))
    >>> round(result.mean_score, 1)
    0.5
    """

    def __init__(self, run, estimate="difference"):
        self.run = run
        self.estimate = get_estimate(estimate)
        self.scores = self.estimate(run.values, run.plan)

    def __len__(self):
        return self.run.plan.n_samples

    def __repr__(self):
        return (
            f"MemorizationResult({len(self)} rows, {self.run.plan.n_encoders} encoders in "
            f"{len(self.run.plan.seed)} blocks, reliability {self.reliability:.2f})"
        )

    def __str__(self):
        return self.summary()

    @property
    def score(self):
        """m(x) of every row, higher = more memorized: ndarray (n_samples,)."""
        return self.scores.score

    @property
    def standard_error(self):
        """Standard error of every score: ndarray (n_samples,)."""
        return self.scores.standard_error

    @property
    def mean_score(self):
        """Mean score of the rows that have one."""
        return float(np.nanmean(self.score))

    @property
    def train_size(self):
        """Mean number of rows an encoder was trained on: the size the scores hold for."""
        return float(self.run.plan.train_sizes.mean())

    @functools.cached_property
    def reliability_interval(self):
        """Reliability with its 95% interval, see `sslmemo.estimates.reliability`."""
        return reliability(self.scores.blocks)

    @property
    def reliability(self):
        """Pearson correlation of the scores with those of an independent rerun; NaN at one block."""
        return float(self.reliability_interval)

    @functools.cached_property
    def spearman_reliability(self):
        """The same for ranks, from split halves."""
        return float(spearman_reliability(self.scores.blocks))

    @functools.cached_property
    def posterior(self):
        """Posterior of the true scores: intervals, top-k probabilities, ranks."""
        return posterior(self.scores)

    def interval(self, level=0.95):
        """Confidence interval of every score, see `Scores.interval`: (low, high), (n_samples,)."""
        return self.scores.interval(level)

    def p_values(self, min_score=None):
        """One-sided p-values of m(x) <= `min_score`, the pool's median score by default."""
        return one_sided_p(self.scores, min_score)

    def null_scores(self, seed=0):
        """Scores as noise alone would make them: signs of block residuals flipped, (n_samples,)."""
        return null_scores(self.scores.blocks, seed)

    def noise_band(self, level=0.95):
        """Range in which scores of rows without memorization would fall: (low, high)."""
        return noise_band(self.scores.blocks, level)

    def table(self, min_score=None, top_k=None):
        """All columns.

        Parameters
        ----------
        min_score : float, default=None
            Score to exceed in the test; None is the pool's median score.
        top_k : int, default=None
            Size of the top set; None is 5% of the rows.

        Returns
        -------
        ScoreTable
            row, score, standard_error, df, interval (unbiased, 95%), posterior mean and interval,
            p_value, q_value, top_k_probability, rank interval (1 = most memorized), in- and
            out-alignment, n_in, n_out, and for a split the role.
        """
        s, p = self.scores, self.p_values(min_score)
        low, high = self.interval()
        posterior_low, posterior_high = self.posterior.interval()
        rank_low, rank_high = self.posterior.rank_interval()
        columns = {
            "row": np.arange(len(self)),
            "score": s.score,
            "standard_error": s.standard_error,
            "df": s.df,
            "interval_low": low,
            "interval_high": high,
            "posterior_mean": self.posterior.mean,
            "posterior_low": posterior_low,
            "posterior_high": posterior_high,
            "p_value": p,
            "q_value": q_values(p),
            "top_k_probability": self.posterior.top_k_probability(top_k or self.default_top_k),
            "rank_low": rank_low,
            "rank_high": rank_high,
            "in_alignment": s.in_mean,
            "out_alignment": s.out_mean,
            "n_in": s.n_in,
            "n_out": s.n_out,
        }
        if self.run.plan.roles is not None:
            columns["role"] = self.run.plan.roles
        return ScoreTable(columns)

    @property
    def default_top_k(self):
        """5% of the rows, at least one."""
        return max(1, round(0.05 * len(self)))

    def to_frame(self, min_score=None, top_k=None):
        """`table` as a pandas DataFrame (extra ``[frame]``)."""
        return self.table(min_score, top_k).to_frame()

    def to_csv(self, path, min_score=None, top_k=None):
        """Write `table` as CSV."""
        self.table(min_score, top_k).to_csv(path)

    def __getitem__(self, rows):
        """Rows of `table` by slice, mask or positions."""
        return self.table()[rows]

    def top(self, k=10):
        """The k most memorized rows of `table`, highest score first."""
        return self.table().sort("score")[:k]

    def summary(self):
        """What a reader should conclude, in words."""
        return summary(self)

    def methods_text(self):
        """A paragraph for a paper: estimand, training size, blocks, reliability, versions."""
        return methods_text(self)

    def __add__(self, other):
        """Both runs as one: the same data and recipe, no block twice; estimated again.

        Raises
        ------
        ValueError
            The data, the recipe or the estimate differ, or a block is in both.
        """
        if not isinstance(other, MemorizationResult):
            return NotImplemented
        return MemorizationResult(merge_runs(self.run, other.run), self.estimate)

    def save(self, path):
        """Write run and estimate to one checksummed file, without pickle; encoders are left out."""
        plan, run = self.run.plan, self.run
        arrays = {f"values/{k}": v for k, v in run.values.items()}
        for name in ("member", "block", "seed", "contrast", "roles", "groups"):
            if getattr(plan, name) is not None:
                arrays[f"plan/{name}"] = getattr(plan, name)
        arrays["seconds"] = run.seconds
        meta = {
            "design": plan.design,
            "config": run.config,
            "failures": {str(k): v for k, v in run.failures.items()},
            "estimate": [_estimate_name(self.estimate), self.estimate.get_params()],
        }
        arrays["meta"] = np.array(json.dumps(meta))
        write_record(path, "result", arrays)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            The file is no result, or was torn or altered.
        """
        arrays = read_record(path, "result")
        if arrays is None:
            raise ValueError(f"{path} is no saved result, or it was torn or altered.")
        meta = json.loads(str(arrays["meta"]))
        plan = Plan(
            **{k.split("/")[1]: v for k, v in arrays.items() if k.startswith("plan/")},
            design=meta["design"],
        )
        values = {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith("values/")}
        failures = {int(k): v for k, v in meta["failures"].items()}
        name, parameters = meta["estimate"]
        run = Run(plan, values, meta["config"], arrays["seconds"], failures)
        return cls(run, get_estimate(name).set_params(**parameters))


def _estimate_name(estimate):
    from .estimates import ESTIMATES

    for name, kind in ESTIMATES.items():
        if type(estimate) is kind:
            return name
    raise ValueError(
        f"a result of the foreign estimate {type(estimate).__name__} can't be saved: save "
        "MemorizationResult(result.run) and estimate again after loading."
    )
