"""MembershipAudit: what a pool's attacks on itself came to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._compat import named
from ..estimates.blocks import check_level
from ..table import LevelFrame, ScoreTable

__all__ = ["GRID", "RATES", "MembershipAudit"]

RATES = (0.01, 0.001)  # false-positive rates of `table`
GRID = 10.0 ** np.linspace(-3, 0, 46)  # and of the curves


@dataclass(frozen=True, repr=False)
class MembershipAudit(LevelFrame):
    """How well membership attacks work on a pool.

    Attributes
    ----------
    scores : dict of str to ndarray of float, shape (n_encoders, n_samples)
        Of every attack, higher = rather a member, each fitted without the encoder's block; NaN for rows that
        the plan does not use.
    plan : Plan
        Of the blocks without a failure: who was a member.
    n_non_members : int
        Least number of non-members of an encoder.
    curves : dict of str to dict of str to Clustered
        Of every attack "auc"; "tpr", at the rates of `fpr`; "low", at 1% and 0.1%; and "auc_gain" and
        "low_gain", against "threshold", where that is among the attacks.
    bins : list of dict, or None
        Success by m(x), see `by_score`.
    why_no_bins : str
        Why `bins` is None, else empty.
    """

    scores: dict
    plan: object
    n_non_members: int
    curves: dict
    bins: list | None
    why_no_bins: str = ""

    @property
    def fpr(self):
        """False-positive rates of the curves: ndarray of float, ascending, from 0.001 to 1."""
        return GRID

    @property
    def unresolved(self):
        """Why a rate of `table` is NaN, by rate: dict of float to str."""
        return {
            rate: f"a false-positive rate of {rate:.1%} needs {round(1 / rate)} non-members of every "
            f"encoder, and one has {self.n_non_members}: take more rows, or a design that leaves more out"
            for rate in RATES
            if self.n_non_members < round(1 / rate)
        }

    def roc(self, attack, level=0.95):
        """ROC of an attack, averaged over encoders at every false-positive rate.

        Parameters
        ----------
        attack : str
            Name of an attack.
        level : float, default=0.95
            Confidence of the band at each rate, in (0, 1).

        Returns
        -------
        ScoreTable
            Columns fpr; tpr, low, high. Rates below one non-member of an encoder are left out.

        Raises
        ------
        ValueError
            The attack was not made.
        """
        tpr = named(attack, self.curves, "attack")["tpr"]
        seen = self.n_non_members * GRID > 1 - 1e-9
        columns = dict(zip(("tpr", "low", "high"), (tpr.value, *tpr.rate_interval(level))))
        return ScoreTable({"fpr": GRID[seen], **{k: v[seen] for k, v in columns.items()}})

    def table(self, level=0.95):
        """Give success of every attack.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row an attack: attack; auc, auc_low, auc_high; tpr_at_0.01 and tpr_at_0.001 with their ends,
            NaN where an encoder has too few non-members (see `unresolved`); and auc_gain, tpr_gain_at_0.01,
            tpr_gain_at_0.001 with theirs: paired differences from "threshold".
        """
        check_level(level)
        rows = []
        for name, found in self.curves.items():
            row = {"attack": name, **_ends("auc", found["auc"], level, rate=True)}
            for i, rate in enumerate(RATES):
                low = None if rate in self.unresolved else found["low"]
                row |= _ends(f"tpr_at_{rate}", low, level, i, rate=True)
            row |= _ends("auc_gain", found.get("auc_gain"), level)
            for i, rate in enumerate(RATES):
                gain = None if rate in self.unresolved else found.get("low_gain")
                row |= _ends(f"tpr_gain_at_{rate}", gain, level, i)
            rows.append(row)
        return ScoreTable({k: [r[k] for r in rows] for k in rows[0]})

    def by_score(self, attack=None, level=0.95):
        """Success by the memorization of the rows.

        Parameters
        ----------
        attack : str, default=None
            Name of an attack; None is all.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row an attack and bin of m(x), least memorized first: attack; bin, from 1; score, the bin's
            mean m(x) by the blocks that binned its rows (too far from the mean, as of any rows picked by
            their scores); auc among the bin's rows; found, the share of
            its members above the threshold that 1% of *all* the encoder's non-members reach; each with its
            ends.

        Raises
        ------
        ValueError
            The attack was not made, or there are too few blocks for two halves.
        """
        check_level(level)
        if attack is not None:
            named(attack, self.curves, "attack")
        if self.bins is None:
            raise ValueError(self.why_no_bins)
        rows = []
        for entry in self.bins:
            if attack in (None, entry["attack"]):
                row = {k: entry[k] for k in ("attack", "bin", "score")}
                row |= _ends("auc", entry["auc"], level, rate=True)
                rows.append(row | _ends("found", entry["found"], level, rate=True))
        return ScoreTable({k: [r[k] for r in rows] for k in rows[0]})

    def summary(self):
        """Say in words what a reader should conclude.

        Returns
        -------
        str
            Every attack with its intervals, what could not be told and why, in lines.
        """
        t, plan = self.table(), self.plan
        lines = [
            f"Membership inference on {plan.n_encoders} encoders in {len(plan.seed)} blocks, "
            f"{plan.n_samples} rows; each attacked by the encoders of the other blocks",
        ]
        for i, name in enumerate(t["attack"]):
            line = f"  {name:<16} AUC {_said(t, 'auc', i)}"
            for rate in RATES:
                if rate not in self.unresolved:
                    line += f"  TPR at {rate:.1%} FPR {_said(t, f'tpr_at_{rate}', i)}"
            lines.append(line)
        lines += [f"  not told: {why}." for why in self.unresolved.values()]
        if self.bins is None:
            lines.append(f"  not told: success by m(x). {self.why_no_bins}")
        best = int(np.nanargmax(t["auc"]))
        name, low = t["attack"][best], t["auc_low"][best]
        if not low > 0.5:
            lines.append("No attack tells members from non-members beyond noise.")
        elif self.bins is not None:
            by = self.by_score(str(name))
            lines.append(
                f"{name} finds {by['found'][-1]:.1%} of the members among the most memorized "
                f"{1 / len(by):.0%} of rows at 1% FPR, {by['found'][0]:.1%} among the least."
                if np.isfinite(by["found"][-1])
                else f"{name} has AUC {by['auc'][-1]:.2f} among the most memorized {1 / len(by):.0%} of "
                f"rows, {by['auc'][0]:.2f} among the least."
            )
        return "\n".join(lines)

    def __str__(self):
        return self.summary()

    def __repr__(self):
        return (
            f"MembershipAudit({', '.join(self.curves)}; {self.plan.n_encoders} encoders, "
            f"{self.plan.n_samples} rows)"
        )


def _ends(name, found, level, i=(), *, rate=False):
    """A value with the ends of its interval, as columns; NaN where there is none."""
    if found is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    low, high = found.rate_interval(level) if rate else found.interval(level)
    return {
        name: float(found.value[i]),
        f"{name}_low": float(low[i]),
        f"{name}_high": float(high[i]),
    }


def _said(table, name, i):
    """A value with its interval, in words."""
    return f"{table[name][i]:.3f} [{table[f'{name}_low'][i]:.3f}, {table[f'{name}_high'][i]:.3f}]"
