"""Is memorization by self-supervised encoders anything new? All definitions of it in one table."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone, is_outlier_detector
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from .._compat import check_in_range, named, shown
from ..baselines import LabelMemorizationEstimator
from ..baselines.deja_vu import DejaVuEstimator
from ..designs import Split, Subsample
from ..estimates.blocks import check_level
from ..estimator import MemorizationEstimator
from ..proxies import MemorizationProxy
from ..randomness import derive_seed, entropy_of
from ..result import MemorizationResult
from ..sources import check_labels
from ..table import ScoreTable, TableFrame
from .agreement import Agreement
from .inputs import interruptible, read_as
from .noisy_ranks import NoisyScores, rank_agreement, top_overlap
from .paper_protocol import paper_protocol, single_pair_scores

__all__ = ["DefinitionComparison", "compare_definitions"]

SSL, PAIR, LABEL, DEJA_VU = "SSL memorization", "single pair", "label memorization", "deja vu"
PROXIES = ("isolation", "depth_isolation", "alignment")
FOREST, FACTOR = "isolation forest", "local outlier factor"
USUAL = (SSL, PAIR, LABEL, DEJA_VU, *PROXIES, FOREST, FACTOR)
POOLS = (MemorizationEstimator, LabelMemorizationEstimator, DejaVuEstimator)


@dataclass(frozen=True, repr=False)
class DefinitionComparison(TableFrame):
    """Scores by several definitions, and how far their truths rank the rows alike.

    Attributes
    ----------
    given : dict of str to NoisyScores
        By definition: the scores with the replicates that tell their noise.
    results : dict of str to MemorizationResult
        Of the definitions that are pools.
    agreement : Agreement
        Spearman correlations as they are, corrected for noise, with intervals, and every definition's
        reliability; see `sslmemo.experiments.noisy_ranks.rank_agreement`. An `AgreementDisplay` draws it.
    overlaps : ScoreTable
        One row a pair of definitions, with the columns first; second; n_rows that both score;
        top_overlap, share that their top sets have in common; chance; ceiling.
    """

    given: dict
    results: dict
    agreement: Agreement
    overlaps: ScoreTable

    def __repr__(self):
        return self.summary()

    @property
    def scores(self):
        """Best guess of each definition at every row: dict of str to ndarray (n_samples,)."""
        return {name: scores.score for name, scores in self.given.items()}

    def scores_table(self):
        """Give the scores of every row.

        Returns
        -------
        ScoreTable
            With the columns row and one a definition; NaN where it says nothing of the row.
        """
        scores = self.scores
        return ScoreTable({"row": np.arange(len(next(iter(scores.values())))), **scores})

    def table(self):
        """Give one row a pair of definitions.

        Returns
        -------
        ScoreTable
            With the columns first; second; n_rows; spearman, of the scores as they are; corrected, low,
            high, of the truths, not clipped at 1; resolved, whether both reliabilities are enough for
            that; top_overlap, chance, ceiling. NaN where a score is the same for all common rows.
        """
        pairs, overlaps = self.agreement.pairs().columns, self.overlaps.columns
        names = ("spearman", "corrected", "low", "high", "resolved")
        return ScoreTable(
            {
                **{name: overlaps[name] for name in ("first", "second", "n_rows")},
                **{name: pairs[name] for name in names},
                **{name: overlaps[name] for name in ("top_overlap", "chance", "ceiling")},
            }
        )

    def summary(self):
        """Say in words how reliable the definitions are, and how far they agree with the first.

        Returns
        -------
        str
            One line a definition, and one more where a corrected correlation, or its interval, exceeds 1;
            all pairs are in `table`.
        """
        a, t = self.agreement, self.table()
        said = [
            "constant" if scores.constant else f"{r:.2f}" if np.isfinite(r) else "unknown"
            for scores, r in zip(self.given.values(), a.reliability, strict=True)
        ]
        lines = [
            "Reliability by ranks: " + ", ".join(map(" ".join, zip(a.names, said, strict=True)))
        ]
        # the pairs of the first definition come first
        for said, over, chance, ceiling in zip(
            a.summary().splitlines()[: len(a.names) - 1],
            *(t[name][: len(a.names) - 1] for name in ("top_overlap", "chance", "ceiling")),
            strict=True,
        ):
            if np.isfinite(over):
                said += (
                    f"; top rows in common {over:.0%} (chance {chance:.0%}, ceiling {ceiling:.0%})"
                )
            lines.append(said)
        return "\n".join([*lines, *a.notes()])


def compare_definitions(X, y=None, *, estimator=None, label=None, split=None, n_repeats=4,
                        definitions=None, top=0.1, level=0.95, groups=None, n_jobs=None,
                        memory=None, random_state=None, verbose=1):  # fmt: skip
    """Score the same rows by several definitions, and correlate them without their noise.

    Every definition has trainings of its own, so that no noise is shared and passes for agreement. With the
    defaults these are 64 encoders for the pool, 2 `n_repeats` for the pairs and `n_repeats` for each of three
    proxies, 84 in all; with y and images 64 more for deja vu, beside 64 classifiers. A small
    `estimator`, or ``definitions={"deja vu": None}``, makes it less.

    Parameters
    ----------
    X : array-like or dataset
        Rows, as in `MemorizationEstimator.fit`.
    y : array-like of shape (n_samples,), default=None
        Labels of classes; None leaves definitions out that need them.
    estimator : MemorizationEstimator, default=None
        The pool of "SSL memorization", cloned, whose recipe the pairs, the proxies and deja vu follow. None
        is the default estimator.
    label : LabelMemorizationEstimator, default=None
        The pool of "label memorization", cloned; None has logistic regression and as many trainings as
        `estimator`.
    split : Split, default=None
        Of "single pair", see `paper_protocol`; it says something of the candidates alone. None is
        ``Split()``, a tenth of the rows.
    n_repeats : int, default=4
        Independent repeats of each score that is no pool (pairs, proxies, forests), at least 3: the
        score compared is that of one, the others tell its noise.
    definitions : dict of str to definition, default=None
        Further ones by name, or None to leave out one of the names above or below. A definition is an
        estimator whose `fit` makes a `result_` (a pool), one with `score_samples` and `random_state`
        (fitted `n_repeats` times), an outlier detector of scikit-learn, which gets flat rows and is read
        with its sign turned; a `MemorizationResult`; or scores, (n_samples,) if they are
        exact, else (n_repeats, n_samples). Higher = more memorized.
    top : float, default=0.1
        Share of the rows in the top sets, in (0, 1].
    level : float, default=0.95
        Confidence of the intervals, in (0, 1).
    groups : array-like of shape (n_samples,), default=None
        Of the pools, as in `MemorizationEstimator.fit`.
    n_jobs : int, default=None
        Blocks at once; -1 means all processors.
    memory : str or path, default=None
        Folder of finished trainings, which an interrupted call goes on from.
    random_state : int, RandomState instance or None, default=None
        Every definition gets a seed of its own.
    verbose : int, default=1
        1 shows progress bars of the pools.

    Returns
    -------
    DefinitionComparison
        Of "SSL memorization"; "single pair"; with y "label memorization" and, of images, "deja vu", which
        shows their lower left corners and says nothing of its public rows; the proxies "isolation",
        "depth_isolation" and "alignment"; "isolation forest" and "local outlier factor" on the flat
        rows, of a table in standardised columns; and `definitions`.

    Raises
    ------
    TypeError, ValueError
        A parameter is wrong; None is given for a name that isn't there; two results share blocks; a
        definition gives other than one finite score a row; fewer than two definitions are left; and
        whatever the fits raise.

    Notes
    -----
    The correlations compare what is measured, not what it is for: a score that ranks unlike another may
    still find what a user looks for, and the other way round.
    """
    if estimator is not None and not isinstance(estimator, MemorizationEstimator):
        raise TypeError(f"estimator must be a MemorizationEstimator, got {shown(estimator)}.")
    if label is not None and not isinstance(label, LabelMemorizationEstimator):
        raise TypeError(f"label must be a LabelMemorizationEstimator, got {shown(label)}.")
    if label is not None and y is None:
        raise ValueError("label memorization needs labels: pass y, or leave label=None.")
    if definitions is not None and not isinstance(definitions, Mapping):
        raise TypeError(
            f"definitions must be a dict by name, such as {{'mine': scores}}, got {shown(definitions)}."
        )
    check_in_range("n_repeats", n_repeats, numbers.Integral, 3)
    check_in_range("top", top, numbers.Real, 0, 1, open_low=True)
    check_level(level)
    base = clone(MemorizationEstimator() if estimator is None else estimator)
    data = read_as(clone(base), "X", X, reset=True)
    y = None if y is None else check_labels(y, len(data))
    wanted = _usual(base, label, y, split, data.layout.is_image)
    for name, d in (definitions or {}).items():
        if d is None:  # a misspelt name would leave nothing out
            named(str(name), dict.fromkeys(USUAL), "definitions")
    wanted.update(definitions or {})
    wanted = {str(name): d for name, d in wanted.items() if d is not None}
    if len(wanted) < 2:
        raise ValueError(f"{len(wanted)} definitions are left: at least two are needed.")
    for name, d in wanted.items():
        _check_definition(name, d, len(data))
    entropy = entropy_of(random_state)
    own = {"n_jobs": n_jobs, "memory": memory}
    given, results = {}, {}
    with interruptible(memory):
        for name, d in wanted.items():
            seeds = [derive_seed(entropy, name, i) % 2**32 for i in range(n_repeats)]
            found = _scored(name, d, X, y, groups, data, base, seeds, own, verbose)
            given[name] = found if isinstance(found, NoisyScores) else NoisyScores.of(found)
            if given[name].result is not None:
                results[name] = given[name].result
    _check_disjoint(results)
    return _compared(given, results, top, level)


def _usual(base, label, y, split, is_image):
    """The definitions that are compared without being asked for."""
    found = {SSL: base, PAIR: Split() if split is None else split}
    recipe = base.get_params(deep=False)
    size = {"n_encoders": recipe.pop("n_encoders")}
    if not isinstance(recipe["design"], Subsample):
        recipe["design"] = "subsample"  # others don't suit every pool

    def following(estimator, *own):
        mine = set(estimator.get_params(deep=False)) - {"verbose", *own}
        return estimator.set_params(**{k: v for k, v in recipe.items() if k in mine})

    if y is not None and label is None:
        label = LabelMemorizationEstimator(design=recipe["design"], **size)
        label.set_params(channels=base.channels, image_shape=base.image_shape)
    if y is not None:
        found[LABEL] = label
    if y is not None and is_image:
        found[DEJA_VU] = following(DejaVuEstimator(**size), "layer")
    for kind in PROXIES:
        found[kind] = following(MemorizationProxy(kind))
    found[FOREST] = IsolationForest()
    found[FACTOR] = LocalOutlierFactor()
    return found


def _check_definition(name, d, n):
    """Refuse what can't be scored, before any training."""
    if isinstance(d, Split) and name == PAIR:
        return
    if isinstance(d, MemorizationResult):
        if len(d) != n:
            raise ValueError(f"definitions[{name!r}] has {len(d)} rows, but X has {n}.")
        return
    if isinstance(d, type):
        raise TypeError(f"definitions[{name!r}] is the class {d.__name__}: pass an object of it.")
    if hasattr(d, "fit"):
        if not hasattr(d, "get_params"):
            raise TypeError(f"definitions[{name!r}] has no get_params, so it can't be cloned.")
        return
    scores = _array(name, d)
    if scores.ndim not in (1, 2) or scores.shape[-1] != n:
        raise ValueError(
            f"definitions[{name!r}] has shape {scores.shape}: scores of shape ({n},) or (n_repeats, {n}) "
            "are needed."
        )
    _check_finite(name, scores)


def _check_finite(name, scores):
    bad = ~np.isfinite(scores)
    if bad.any():
        raise ValueError(
            f"definitions[{name!r}] holds NaN or infinite scores ({bad.sum()} of {bad.size}): a finite one "
            "for every row is needed."
        )


def _array(name, d):
    try:
        return np.asarray(d, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"definitions[{name!r}] must be an estimator, a MemorizationResult or scores, got {shown(d)}."
        ) from error


def _scored(name, d, X, y, groups, data, base, seeds, own, verbose):
    """Scores by one definition: what `NoisyScores.of` takes, or one."""
    if isinstance(d, MemorizationResult):
        return d
    if isinstance(d, Split):
        found = paper_protocol(
            X, estimator=base, split=d, n_pairs=len(seeds), groups=groups, random_state=seeds[0],
            verbose=verbose, **own,
        )  # fmt: skip
        return single_pair_scores(found.pairs, found.roles)
    if not hasattr(d, "fit"):
        return _array(name, d)
    if is_outlier_detector(d):
        return _outlier_scores(d, data, seeds)
    parameters = d.get_params(deep=False)
    own = {k: v for k, v in own.items() if k in parameters}
    if isinstance(d, POOLS):
        own["verbose"] = verbose

    def fitted(seed):
        seeded = {"random_state": seed} if "random_state" in parameters else {}
        fresh = clone(d).set_params(**own, **seeded)
        if isinstance(d, POOLS):
            return fresh.fit(X, y, groups=groups)
        return fresh.fit(X) if y is None else fresh.fit(X, y)

    first = fitted(seeds[0])
    if isinstance(getattr(first, "result_", None), MemorizationResult):
        return first.result_
    if "random_state" not in parameters:
        return _finite(name, first.score_samples(X), len(data))
    rest = [fitted(seed) for seed in seeds[1:]]
    return np.stack([_finite(name, f.score_samples(X), len(data)) for f in [first, *rest]])


def _outlier_scores(detector, data, seeds):
    """How much of an outlier each row is, by reruns where the detector draws."""
    rows = data.rows(np.arange(len(data))).flatten(1).numpy().astype(float)

    def of(fresh):
        fresh.fit(rows)
        if hasattr(fresh, "negative_outlier_factor_"):  # of the rows it was fitted on, left out
            return -fresh.negative_outlier_factor_
        return -fresh.score_samples(rows)

    if "random_state" not in detector.get_params(deep=False):
        return of(clone(detector))
    return np.stack([of(clone(detector).set_params(random_state=s)) for s in seeds])


def _finite(name, scores, n):
    scores = np.asarray(scores, dtype=float)
    if scores.shape != (n,):
        raise ValueError(
            f"definitions[{name!r}] scores of shape {scores.shape}: one score for each of {n} rows is needed."
        )
    _check_finite(name, scores)
    return scores


def _check_disjoint(results):
    """Refuse pools of common blocks, whose noise would pass for agreement."""
    names = list(results)
    for i, second in enumerate(names):
        for first in names[:i]:
            if np.isin(results[first].run.plan.seed, results[second].run.plan.seed).any():
                raise ValueError(
                    f"{first!r} and {second!r} have blocks in common, so that they agree by their noise: "
                    "train them with different random_state."
                )


def _compared(given, results, top, level):
    names, rows = list(given), []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            a, b = given[first], given[second]
            n = int((a.known & b.known).sum())
            if n < 3:
                raise ValueError(
                    f"{first!r} and {second!r} have {n} rows in common: give more rows, or a split with more "
                    "candidates."
                )
            rows.append((first, second, n, *top_overlap(a, b, top)))
    columns = ("first", "second", "n_rows", "top_overlap", "chance", "ceiling")
    return DefinitionComparison(
        given, results, rank_agreement(given, level), ScoreTable.from_rows(columns, rows)
    )
