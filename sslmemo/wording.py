"""What a result says in words: the summary for a reader, the paragraph for a paper."""

from __future__ import annotations

import numpy as np
from scipy import stats

__all__ = ["collapsed_encoders", "methods_text", "summary"]

COLLAPSED_SPREAD = 0.01  # of unit representations, whose spread is near 1 in a healthy encoder
COLLAPSED_RANK = 1.5
LINE_SPREAD = 0.5
LOW_RANK = 2.0  # hardly more than one direction: a partial collapse, or hardly trained
SAME = 1e-4  # of the mean alignment: scores below it are the last digits of equal encoders


def collapsed_encoders(run):
    """Positions of encoders whose representations lie at one point or on one line."""
    if "spread" not in run.values:
        return np.array([], dtype=int)
    spread, rank = run.values["spread"], run.values["effective_rank"]
    # a common offset, as transformers have, also brings the rank to 1, but with little spread
    line = (rank < COLLAPSED_RANK) & (spread > LINE_SPREAD)
    return np.flatnonzero((spread < COLLAPSED_SPREAD) | line)


def has_low_rank(run):
    """Whether the median encoder uses hardly more than one direction, without having collapsed."""
    rank = run.values.get("effective_rank")
    return rank is not None and bool(np.nanmedian(rank) < LOW_RANK)


def summary(result):
    """What a reader should conclude from a result, in words."""
    run, scores = result.run, result.scores
    plan, score = run.plan, scores.score
    known = np.isfinite(score)
    lines = [f"Memorization of {known.sum()} of {len(score)} rows"]
    lines.append(
        f"  estimand      {estimand(result)}\n"
        f"  encoders      {plan.n_encoders} in {len(plan.seed)} block{'s' * (len(plan.seed) != 1)}"
        + (f", {len(run.failures)} blocks failed" if run.failures else "")
    )
    if (note := _stopped(run)) is not None:
        lines.append(f"  stopped       {note['why']}")
    if (private := _private(run)) is not None:
        lines.append(f"  privacy       {private}")
    if not known.any():
        lines.append("No row has both an encoder that saw it and one that did not: no scores.")
        return "\n".join(lines)
    mean, error, p = mean_test(scores)
    low, high = np.nanpercentile(score, [5, 95])
    lines.append(
        f"  mean score    {mean:.4g} (standard error {error:.2g}); "
        f"5% to 95% of rows: {low:.4g} to {high:.4g}"
    )
    lines += _error_lines(result) + _quality_line(result) + _collapse(result) + _reading(result, p)
    return "\n".join(lines)


def estimand(result):
    """Whose memorization the scores tell: the design and the training size."""
    plan, size = result.run.plan, result.train_size
    if plan.design == "leave_one_out":
        return f"exact leave-one-out: f trained on all {plan.n_samples} rows, g on all but one"
    if plan.design == "prefit":
        return "given encoders: each f was trained on all rows, each g on none of them"
    if plan.design == "split":
        return (
            f"the split of the paper: f on shared + candidate, g on shared + independent, "
            f"{size:.0f} of {plan.n_samples} rows each"
        )
    return f"at training size {size:.0f} of {plan.n_samples} rows, over random other rows"


def _stopped(run):
    """What `stop_when` noted of the fit, unless blocks from elsewhere were added since."""
    note = run.config.get("stopped")
    return note if note is not None and note["n_blocks"] == len(run.plan.seed) else None


def mean_test(scores):
    """Mean score over rows, its standard error over blocks, and the p-value of no difference."""
    whole = scores.blocks[np.isfinite(scores.blocks).any(1)]
    mean = float(np.nanmean(scores.score))
    if len(whole) < 2:
        return mean, np.nan, np.nan
    per_block = np.nanmean(whole, axis=1)
    error = float(per_block.std(ddof=1) / np.sqrt(len(per_block)))
    if error == 0:
        return mean, 0.0, float(mean == 0)
    return mean, error, float(2 * stats.t.sf(abs(mean) / error, len(per_block) - 1))


def _error_lines(result):
    scores, interval = result.scores, result.reliability_interval
    if not np.isfinite(scores.standard_error).any():
        return [
            "  errors        unknown: fewer than two blocks on a side have no spread; train at least "
            "2, better 16"
        ]
    typical = float(np.sqrt(np.nanmean(scores.standard_error**2)))
    line = f"  errors        standard error of a score {typical:.2g}"
    line += f", true spread of scores {result.true_spread:.2g}"
    noise = float(np.nanmean(scores.raw_standard_error**2))
    if scores.view_variance is not None and noise > 0:
        share = min(1.0, np.nanmean(scores.view_variance) / noise)
        line += f"; {share:.0%} of the error's variance comes from views, the rest from encoders"
    lines = [line]
    lines.append(
        f"  reliability   {interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}] (Pearson with "
        f"an independent rerun); by ranks {result.spearman_reliability:.3f}"
    )
    if scores.prior_mean is not None:
        true = result.held_out_correlation
        said = "fewer than three blocks can't say how well they agree with the true scores"
        if np.isfinite(true.value):
            said = (
                f"blocks left out say that they correlate {true.value:.2f} [{true.low:.2f}, {true.high:.2f}] "
                "with the true scores"
            )
        lines.append(
            "  shrinkage     scores are drawn towards what features of the rows predict; reliability and "
            f"intervals are those of the unbiased difference; {said}"
        )
    elif scores.unbiased is not None:
        lines.append(
            "  shrinkage     none: nothing was learnt from so few blocks or rows, or from this design; the "
            "scores are the differences (see sslmemo.estimates.Shrinkage)"
        )
    return lines


def _quality_line(result):
    """Whether the representations are worth anything: low alignment is easy without."""
    values = result.run.values
    if "uniformity" not in values:
        return []
    rank, even = np.nanmedian(values["effective_rank"]), np.nanmedian(values["uniformity"])
    line = (
        f"  quality       effective rank {rank:.3g}, uniformity {even:.3g} (medians over encoders)"
    )
    if result.knn_accuracy is not None:
        line += f"; nearest neighbours of encoder_ give the label of {result.knn_accuracy:.1%}"
    return [line]


def _collapse(result):
    """Warnings where low scores are bought by collapse, or by encoders that have not trained."""
    said, run = [], result.run
    collapsed = collapsed_encoders(run)
    if len(collapsed):
        said.append(
            f"WARNING: {len(collapsed)} of {run.plan.n_encoders} encoders collapsed (all rows at one "
            "point or on one line): their alignment is low for a bad reason, and so are scores from them."
        )
    elif has_low_rank(run):
        said.append(
            "CAUTION: representations vary along hardly more than one direction (effective rank "
            f"{np.nanmedian(run.values['effective_rank']):.2g}): a partial collapse, or encoders that have "
            "hardly trained. Low scores may come from it."
        )
    scores = result.scores.difference
    level = np.nanmean([scores.in_mean, scores.out_mean])
    if np.nanmax(np.abs(scores.score)) < SAME * level:
        said.append(
            "WARNING: f and g are all but the same encoder: no score reaches a ten-thousandth of the mean "
            "alignment. They have hardly trained; raise epochs or learning_rate."
        )
    return said


def _reading(result, p):
    """The sentences that follow from the numbers."""
    run, scores, interval = result.run, result.scores, result.reliability_interval
    say = []
    if run.plan.roles is not None:
        means = {
            r: np.nanmean(scores.score[run.plan.roles == r]) for r in dict.fromkeys(run.plan.roles)
        }
        say.append(
            "Mean score by role: " + ", ".join(f"{k} {v:.4g}" for k, v in means.items()) + "."
        )
    elif np.isfinite(p) and p > 0.05:
        say.append(
            f"f and g don't differ beyond noise (p = {p:.2g}): these encoders show no memorization "
            "on average. Train longer or more encoders before reading the ranking."
        )
    if np.isfinite(interval.value) and np.isfinite(scores.standard_error).any():
        sure = agrees = interval.value
        if scores.prior_mean is not None and np.isfinite(result.held_out_correlation.value):
            true = result.held_out_correlation
            # two reruns agree by the product of their correlations with the truth
            agrees, sure = (float(np.clip(r, 0.0, 1.0)) ** 2 for r in (true.value, true.low))
        if agrees < 0.5:
            say.append(
                "The ranking is mostly noise: a rerun would order the rows differently. Add encoders."
            )
        elif sure < 0.8:
            say.append("The ranking is usable for groups of rows, not for single rows.")
        else:
            say.append("The ranking would largely repeat with new encoders and new views.")
        clear = int((result.table()["q_value"] < 0.05).sum())
        rows = "row is" if clear == 1 else "rows are"
        sentence = f"{clear} {rows} memorized more than the median row (q < 0.05)"
        if result.default_top_k < np.isfinite(scores.score).sum():
            sure = int((result.posterior.top_k_probability(result.default_top_k) > 0.9).sum())
            sentence += (
                f"; {sure} {'row belongs' if sure == 1 else 'rows belong'} to the top "
                f"{result.default_top_k} with probability above 0.9"
            )
        say.append(sentence + ".")
    if interval.value < 1 and run.plan.design in ("subsample", "explicit"):
        say.append("The scores hold for this training size; leave-one-out at full size is smaller.")
    return say


def methods_text(result):
    """A paragraph ready for a paper."""
    run, plan, scores = result.run, result.run.plan, result.scores
    trainer, versions = run.config.get("trainer", {}), run.config.get("versions", {})
    measured = next(
        (m for m in run.config.get("measurements", []) if m.get("measurement") == "alignment"), {}
    )
    pairs = "each against the clean sample" if measured.get("anchor") == "clean" else "all pairs"
    given = plan.design == "prefit"
    if trainer.get("trainer") in ("classifier", "network"):
        return _of_labels(result, trainer, versions)
    text = [
        f"Per-sample memorization was estimated for {int(np.isfinite(scores.score).sum())} training "
        f"samples as the difference of the expected alignment loss between encoders trained "
        f"without and with the sample ({estimand(result)}).",
        f"We {'used' if given else 'trained'} {plan.n_encoders} encoders in {len(plan.seed)} "
        f"independent blocks (design: {plan.design}); the encoders of a block share "
        f"{'views' if given else 'initialisation and views'}.",
    ]
    if (note := _stopped(run)) is not None:
        text.append(
            f"Their number came from the rule {note['rule']}, which looked after "
            f"{', '.join(map(str, note['looks'])) or 'no'} blocks of at most {note['schedule'][-1]}."
        )
    if trainer and not given:
        text.append(
            f"Encoders ({_short(trainer.get('encoder'))}) were trained with "
            f"{_short(trainer.get('method'))} for {trainer.get('steps')} steps of "
            f"{trainer.get('batch_size')} samples (AdamW, peak learning rate "
            f"{trainer.get('learning_rate')}, one-cycle schedule, {trainer.get('precision')})."
        )
        if (private := _private(run)) is not None:
            text.append(private)
        elif (noise := trainer.get("gradient_noise")) is not None:
            text.append(f"Gradients were clipped and made noisy by {_short(noise)}.")
    if measured:
        text.append(
            f"Alignment used the {_short(measured.get('distance'))} distance over "
            f"{measured.get('n_views')} views ({pairs}), drawn afresh for each block, on the "
            f"{measured.get('layer')}'s output."
        )
    if scores.prior_mean is not None:
        text.append(
            "Scores were shrunk towards what features of the rows predict (empirical Bayes between rows); "
            "reliability and tests are those of the unbiased difference."
        )
    return " ".join([*text, *_errors_and_versions(result, versions)])


def _of_labels(result, trainer, versions):
    """The paragraph of label memorization, by classifiers."""
    run = result.run
    measured = run.config["measurements"][0]
    read = "its probability of" if measured["probability"] else "whether it predicts"
    text = [
        f"Label memorization (Feldman, 2020) was estimated for "
        f"{int(np.isfinite(result.score).sum())} training samples as the expected difference between "
        f"classifiers trained with and without the sample in {read} its label ({estimand(result)}).",
        f"We trained {run.plan.n_encoders} classifiers "
        f"({_short(trainer.get('estimator', trainer.get('network')))}) in {len(run.plan.seed)} "
        f"independent blocks (design: {run.plan.design}); those of a block share their seed.",
    ]
    if trainer["trainer"] == "network":
        text.append(
            f"They took {trainer['steps']} steps of {trainer['batch_size']} samples (AdamW, peak "
            f"learning rate {trainer['learning_rate']}, one-cycle schedule, fp32)."
        )
    return " ".join(
        [*text, *_errors_and_versions(result, {**versions, **trainer.get("library", {})})]
    )


def _errors_and_versions(result, versions):
    """How such a paragraph ends: list of sentences."""
    from . import __version__

    text, interval = [], result.reliability_interval
    if np.isfinite(interval.value):
        errors = "come from the spread over blocks"
        if result.scores.prior_mean is not None:
            errors = "are posterior standard deviations"
        text.append(
            f"Standard errors {errors}. The reliability (Pearson correlation with an independent rerun) "
            f"is {interval.value:.3f}{_ends(interval)}."
        )
    if versions:
        used = ", ".join(f"{k} {v}" for k, v in versions.items() if k != "sslmemo")
        text.append(f"Computed with sslmemo {__version__} ({used}).")
    return text


def _private(run):
    """The epsilon of one encoder in words; None without private training, or without its extra."""
    if "PrivateTraining" not in str(run.config.get("trainer", {}).get("gradient_noise")):
        return None
    from .training.private import privacy_of

    try:
        told = privacy_of(run)
    except ImportError:
        return None
    return (
        f"Each encoder by itself was trained with ({told['epsilon']:.3g}, {told['delta']:.2g})-differential "
        f"privacy for its rows (DP-SGD, clip {told['clip']:g}, noise multiplier {told['multiplier']:g}); "
        "the pool and these scores are not private."
    )


def _ends(interval):
    """The interval in words, where there are enough blocks for one."""
    if not np.isfinite(interval.low):
        return ""
    return f" (95% interval {interval.low:.3f} to {interval.high:.3f}, jackknife over blocks)"


def _short(description):
    """Last part of a described object's name, with its parameters."""
    if isinstance(description, list) and description and isinstance(description[0], str):
        name = description[0].rsplit(".", 1)[-1]
        if len(description) > 1 and isinstance(description[1], dict):
            return name + "(" + ", ".join(f"{k}={v}" for k, v in description[1].items()) + ")"
        return name
    return str(description).rsplit(".", 1)[-1]
