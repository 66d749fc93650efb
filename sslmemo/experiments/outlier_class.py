"""A latent class with few training points: does having seen, and memorized, one help its class?"""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .._compat import check_in_range, shown
from ..measurements import Alignment, Downstream
from ..measurements.downstream import evaluator_of
from ..plans import Plan
from ..pool import run
from ..randomness import derive_seed, entropy_of, generator, usual_torch
from ..sources import check_labels
from ..table import ScoreTable
from ..training.precision import limit_jobs
from .contrasts import Frames, student
from .inputs import as_list, interruptible, recipe_of

__all__ = ["OutlierClassExperiment", "outlier_class_experiment"]

WHERE = ("all", "near", "far")


@dataclass(frozen=True, repr=False)
class OutlierClassExperiment(Frames):
    """What some training points of a class do for its held-out members.

    Attributes
    ----------
    table : ScoreTable
        One row a class, draw of points, number of points, repeat and place, with the columns class;
        point; count; repeat; where ("all", "near" or "far" held-out members of the class, by their
        distance to the first point); accuracy_gain, alignment_gain: what the encoder that saw the points
        does better than the one of the same seed that saw none, for alignment the decrease of the
        distance between views; memorization: the same decrease at the first point itself.
    """

    table: ScoreTable

    def summary_table(self, level=0.95):
        """Mean gains by number of points, with Student's intervals over classes.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row a count, place and metric, with the columns count; where; metric; mean, low, high;
            p_value, two-sided; n_classes. A class counts once, with its mean over draws and repeats.
        """
        t, rows = self.table, []
        for count in np.unique(t["count"]):
            for where in WHERE:
                some = (t["count"] == count) & (t["where"] == where)
                for metric in ("accuracy_gain", "alignment_gain", "memorization"):
                    if metric == "memorization" and where != "all":
                        continue
                    means = _means(t["class"][some], t[metric][some])
                    rows.append((count, where, metric, *student(means, level), len(means)))
        names = ("count", "where", "metric", "mean", "low", "high", "p_value", "n_classes")
        return ScoreTable.from_rows(names, rows)

    def points_table(self):
        """Give one row a single point: its memorization, and the gains of its class.

        Returns
        -------
        ScoreTable
            Of count 1, means over repeats, with the columns class; point; memorization;
            accuracy_gain, alignment_gain, alignment_gain_near, alignment_gain_far.
        """
        t, rows = self.table, []
        one = t["count"] == 1
        for c, p in dict.fromkeys(
            zip(t["class"][one].tolist(), t["point"][one].tolist(), strict=True)
        ):
            mine = one & (t["class"] == c) & (t["point"] == p)
            at = {w: mine & (t["where"] == w) for w in WHERE}
            gains = [t["alignment_gain"][at[w]].mean() for w in WHERE]
            memorization, accuracy = (
                t[n][at["all"]].mean() for n in ("memorization", "accuracy_gain")
            )
            rows.append((c, p, memorization, accuracy, *gains))
        names = ("class", "point", "memorization", "accuracy_gain", "alignment_gain",
                 "alignment_gain_near", "alignment_gain_far")  # fmt: skip
        return ScoreTable.from_rows(names, rows)

    def __repr__(self):
        t = self.summary_table()
        lines = [
            f"Gains from training points of a class, intervals over {t['n_classes'][0]} classes"
        ]
        for count, where, metric, mean, low, high, p, _ in zip(*t.columns.values(), strict=True):
            what = (
                f"{metric.replace('_', ' ')}, {where} members"
                if metric != "memorization"
                else metric
            )
            points = "point " if count == 1 else "points"
            lines.append(
                f"{count:>4} {points}  {what}: {mean:+.4f} [{low:+.4f}, {high:+.4f}], p = {p:.2g}"
            )
        points = self.points_table()
        if len(points) > 4:
            for name in ("alignment_gain", "accuracy_gain"):
                if np.ptp(points[name]) == 0:
                    continue
                r = stats.spearmanr(points["memorization"], points[name])
                lines.append(
                    f"Over {len(points)} single points, memorization and {name.replace('_', ' ')} "
                    f"correlate {r.statistic:.2f} (Spearman; noise of the shared encoders included)."
                )
        return "\n".join(lines)


@usual_torch()
def outlier_class_experiment(X, y, *, rare=None, counts=(1, 2, 5, 20), n_points=4, n_repeats=2,
                             n_common=None, test_size=0.3, down_size=0.3, downstream="knn",
                             encoder=None, n_views=8, n_jobs=None, memory=None, random_state=None,
                             verbose=1):  # fmt: skip
    """Train with none, one or a few points of a class, and measure its held-out members.

    Parameters
    ----------
    X : array-like or dataset
        Rows, split at random into training rows, labelled rows of the evaluator and held-out rows.
    y : array-like of shape (n_samples,)
        Latent classes.
    rare : sequence of labels, default=None
        Classes that take their turn as the rare one; None is all.
    counts : sequence of int, default=(1, 2, 5, 20)
        Numbers of training points of the rare class; each at least 1. The points of a smaller count
        are among those of a larger.
    n_points : int, default=4
        Draws of points a class; at least 1.
    n_repeats : int, default=2
        Seeds a draw; at least 1. All counts, and the encoder that saw none, share them.
    n_common : int, default=None
        Training rows of the other classes, which all encoders see; None is all.
    test_size, down_size : float, default=0.3
        Shares of the rows that are held out, and that the evaluator is fitted on, in (0, 1).
    downstream : str or estimator, default="knn"
        ``"knn"``, ``"linear"`` or a scikit-learn classifier, fitted on the same labelled rows of all
        classes for every encoder.
    encoder : SSLEncoder, default=None
        The recipe of the trainings; None is ``SSLEncoder()``.
    n_views : int, default=8
        Views a row of the alignment.
    n_jobs : int, default=None
        Trainings at once; -1 means all processors.
    memory : str or path, default=None
        Folder of finished trainings, which an interrupted call goes on from.
    random_state : int, RandomState instance or None, default=None
        Of the split, the points and the seeds.
    verbose : int, default=1
        1 shows a progress bar.

    Returns
    -------
    OutlierClassExperiment
        All encoders take the same number of steps.

    Raises
    ------
    TypeError, ValueError
        Before any training: a parameter is wrong, or a class has too few rows.
    """
    for name, value in (("n_points", n_points), ("n_repeats", n_repeats)):
        check_in_range(name, value, numbers.Integral, 1)
    for name, value in (("test_size", test_size), ("down_size", down_size)):
        check_in_range(name, value, numbers.Real, 0, 1, open_low=True)
    counts = as_list("counts", counts)
    counts = sorted({check_in_range("counts", c, numbers.Integral, 1) for c in counts})
    evaluator, recipe = evaluator_of(downstream), recipe_of(encoder)
    data = recipe._read(X, reset=True)
    y = check_labels(y, len(data))
    known = np.unique(y).tolist()
    rare = known if rare is None else as_list("rare", rare)
    if not set(rare) <= set(known):
        raise ValueError(f"rare={shown(rare)} holds classes that y lacks; y has {shown(known)}.")
    entropy = entropy_of(random_state)
    train, down, test = _split(y, test_size, down_size, entropy)
    jobs = []
    for c in rare:
        own = train[y[train] == c]
        if len(own) < counts[-1] or (y[test] == c).sum() < 2:
            raise ValueError(
                f"class {c!r} has {len(own)} training and {(y[test] == c).sum()} held-out rows, but "
                f"{counts[-1]} (counts={counts}) and 2 are needed: lower counts, change test_size and "
                "down_size, give more rows, or name other classes by rare=."
            )
        number = known.index(c)
        rng = generator(derive_seed(entropy, "class", number), "rows")
        common = rng.permutation(train[y[train] != c])[:n_common]
        for p in range(n_points):
            points = rng.permutation(own)[: counts[-1]]
            for r in range(n_repeats):
                seed = derive_seed(entropy, "points", number, p, r)
                jobs += [(c, p, k, r, seed, common, points) for k in (0, *counts)]
    member = np.zeros((len(jobs), len(data)), bool)
    for i, (_, _, k, _, _, common, points) in enumerate(jobs):
        member[i, common] = member[i, points[:k]] = True
    seeds = np.array([job[4] for job in jobs], np.uint64)
    sizes = member.sum(1)
    plan = Plan(member, np.arange(len(jobs)), seeds, design="outlier class",
                nominal=(float(sizes.mean()), int(sizes.min())))  # fmt: skip
    trainer = recipe._trainer(data, plan.sizes)
    measures = [
        Alignment(trainer.views.augmentation, n_views=n_views, layer=recipe.layer),
        Downstream(
            {"accuracy": evaluator}, y[down], data.take(test), y[test],
            fit_rows=data.take(down), layer=recipe.layer,
        ),
    ]  # fmt: skip
    with interruptible(memory):
        done = run(plan, trainer, measures, data, n_jobs=limit_jobs(n_jobs, trainer.device),
                   store=memory, verbose=verbose)  # fmt: skip
    return OutlierClassExperiment(_gains(jobs, done.values, data, y, test))


def _split(y, test_size, down_size, entropy):
    """Positions of training, labelled and held-out rows, the same shares of every class."""
    if test_size + down_size >= 1:
        raise ValueError(
            f"test_size={test_size} and down_size={down_size} leave no rows to train on: lower them."
        )
    rng, parts = generator(derive_seed(entropy, "split"), "rows"), []
    for c in np.unique(y):
        order = rng.permutation(np.flatnonzero(y == c))
        ends = np.cumsum([round(test_size * len(order)), round(down_size * len(order))])
        parts.append(np.split(order, ends))
    test, down, train = (np.concatenate(p) for p in zip(*parts, strict=True))
    return train, down, test


def _gains(jobs, values, data, y, test):
    """Table of gains: every encoder against the one of its draw and seed that saw no point."""
    rows, without = [], None
    for i, (c, p, k, r, _, _, points) in enumerate(jobs):
        members = np.flatnonzero(y[test] == c)
        if k == 0:
            without = i
            flat = data.array(test[members]).reshape(len(members), -1)
            distance = np.linalg.norm(flat - data.array(points[:1]).reshape(1, -1), axis=1)
            near = distance <= np.median(distance)
            places = {"all": members, "near": members[near], "far": members[~near]}
            continue
        closer = values["alignment"][without] - values["alignment"][i]
        right = values["accuracy"][i] - values["accuracy"][without]
        for where, some in places.items():
            rows.append((c, p, k, r, where, right[some].mean() if len(some) else np.nan,
                         closer[test[some]].mean() if len(some) else np.nan, closer[points[0]]))  # fmt: skip
    names = ("class", "point", "count", "repeat", "where", "accuracy_gain", "alignment_gain",
             "memorization")  # fmt: skip
    return ScoreTable.from_rows(names, rows)


def _means(groups, values):
    """Mean of each group."""
    return np.array([np.nanmean(values[groups == g]) for g in np.unique(groups)])
