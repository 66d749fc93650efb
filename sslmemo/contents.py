"""What of a fitted encoder or pool goes into its file, and how both are built again from it.

Weights, matrices and what recognises rows are stored; networks, augmentation and distance are built
anew from the parameters. Whoever saves checks at once that what would be built is what was fitted.
"""

from __future__ import annotations

import warnings

import numpy as np

from .assembly import alignment_of
from .augmentations import build_augmentation
from .data import Data, Layout
from .encoders import auto_encoder
from .estimates import configured
from .identity import alike, describe
from .methods import get_method
from .persistence import estimator_content, estimator_of
from .randomness import generator, seeded
from .training.noise import check_gradient_noise
from .training.precision import resolve_device
from .training.ssl import SSLTrainer
from .training.stacked import StackedTrainer

__all__ = ["check_behaviour", "encoder_content", "encoder_of", "pool_content", "rebuild"]

OF_RESULT = {"result_", "membership_", "memorization_scores_", "standard_errors_"}
REBUILT = {"encoder_", "_fitted_trainer", "_fitted_alignment", "_earlier", "_finished"}
RECIPE = ("steps", "batch_size", "learning_rate", "weight_decay", "precision", "bank")


def encoder_content(encoder):
    """What of a fitted SSLEncoder is stored.

    Raises
    ------
    ValueError
        Its parameters no longer build the network that was fitted.
    """
    content = estimator_content(encoder, {"model_"})
    content["weights"] = encoder.model_.state()
    content["embedded"] = _embedded(encoder.model_, encoder.layout_.shape)
    try:
        _restored(encoder, content)
    except ValueError as error:
        raise ValueError(
            "method= or encoder= was changed since fit, and can't rebuild what was fitted: set it "
            "back, or fit again."
        ) from error
    return content


def encoder_of(kind, content, given):
    """A fitted SSLEncoder from its content.

    Parameters
    ----------
    kind : type
        SSLEncoder, or a class derived from it.
    content : dict
        See `encoder_content`.
    given : dict
        Parameters that could not be stored, by name.

    Raises
    ------
    ValueError
        A foreign parameter is absent or another one than was saved.
    """
    encoder = estimator_of(kind, content, given)
    encoder.model_ = _restored(encoder, content)
    return encoder


def _restored(encoder, content):
    """The model of saved weights. It needs neither rows nor views, and no recipe of a training."""
    shape = encoder.layout_.shape
    trainer = SSLTrainer(
        get_method(encoder.method), _network(encoder.encoder, shape), None, shape,
        steps=1, batch_size=2, learning_rate=1.0,
    )  # fmt: skip
    said = "method= and encoder= build another network than the one that was saved"
    try:
        model = trainer.restore(content["weights"])
    except RuntimeError as error:  # names or shapes of weights
        raise ValueError(f"{said}: {error}") from error
    if not alike(_embedded(model, shape), content["embedded"]):
        raise ValueError(f"{said}: with the same weights it gives other representations.")
    return model


def _network(encoder, shape):
    return auto_encoder(shape) if isinstance(encoder, str) and encoder == "auto" else encoder


def pool_content(estimator):
    """What of a fitted MemorizationEstimator is stored.

    Raises
    ------
    ValueError
        Its parameters no longer build what was fitted, or its augmentation can't be fitted again.
    """
    trainer, alignment = estimator._fitted_trainer, estimator._fitted_alignment
    augmentation = trainer.views.augmentation
    reference = getattr(augmentation, "reference", None)
    if reference is None and hasattr(augmentation, "fit_reference"):
        raise ValueError(
            f"augmentation= {type(augmentation).__name__} has fit_reference, but does not keep the "
            "rows it needs in `reference`, (n, *shape), so it can't be fitted again after loading."
        )
    content = estimator_content(estimator, OF_RESULT | REBUILT)
    content |= {
        "encoder": encoder_content(estimator.encoder_),
        "run": estimator.result_.run,
        "knn_accuracy": estimator.result_.knn_accuracy,
        "so_far": None if estimator._finished is None else [estimator._so_far()],
        "recipe": {k: trainer.config()[k] for k in RECIPE},
        "draws_itself": trainer.draws_itself,
        "device": trainer.device,
        "reference": None if reference is None else np.asarray(reference.cpu()),
        "behaviour": _behaviour(trainer, alignment),
    }
    fitted = _described(trainer, alignment, estimator.result_.estimate)
    now = _described(
        *rebuild(estimator, content),
        configured(estimator.estimate, estimator.normalize, estimator.anchor),
    )
    changed = [k for k in fitted if not alike(fitted[k], now[k])]
    if changed:
        raise ValueError(
            f"{', '.join(changed)} changed since fit, so that the file would not rebuild what was "
            "fitted: set the parameters back, or fit again."
        )
    return content


def rebuild(estimator, content):
    """Trainer and alignment of a fit that is over.

    Parameters
    ----------
    estimator : MemorizationEstimator
        Its parameters and `layout_`.
    content : dict
        See `pool_content`.

    Returns
    -------
    trainer : SSLTrainer
        On the device of the fit; on the CPU where that is absent.
    alignment : Alignment
        What it measures.
    """
    shape, reference = estimator.layout_.shape, content["reference"]
    rows = np.empty((0, *shape), np.float32) if reference is None else reference
    try:
        device = resolve_device(content["device"])
    except ValueError:
        device = "cpu"
    trainer = (SSLTrainer if device == "cpu" else StackedTrainer)(
        get_method(estimator.method),
        _network(estimator.encoder, shape),
        build_augmentation(estimator.augmentation, Data(rows, Layout(shape, shape))),
        shape,
        device=device,
        gradient_noise=check_gradient_noise(estimator.gradient_noise),
        **content["recipe"],
    )
    trainer.draws_itself = content["draws_itself"]
    return trainer, alignment_of(estimator, trainer.views.augmentation, device)


def check_behaviour(trainer, alignment, saved):
    """Compare views and distances of fixed draws with those at save.

    Raises
    ------
    ValueError
        The distances differ.

    Warns
    -----
    UserWarning
        The views differ: another augmentation was given, or a library draws otherwise now.
    """
    now = _behaviour(trainer, alignment)
    if not alike(now["distance"], saved["distance"]):
        raise ValueError("distance= gives other distances than the one that was saved.")
    if not alike(now["views"], saved["views"]):
        warnings.warn(
            "the augmentation draws other views than when the estimator was saved, so alignment and "
            "null_scores of new rows will differ: augmentation= is another one, or torch or kornia "
            "have changed.",
            stacklevel=3,
        )


def _described(trainer, alignment, estimate):
    """What a fit was, in the words and the behaviour that tell it from another."""
    trained, measured = trainer.config(), alignment.config()
    return {
        **{k: trained[k] for k in ("method", "encoder", "augmentation")},
        **{k: measured[k] for k in ("distance", "n_views", "anchor", "layer")},
        "estimate": describe(estimate),
        "gradient_noise": trained.get("gradient_noise"),
        **{f"the behaviour of {k}": v for k, v in _behaviour(trainer, alignment).items()},
    }


def _behaviour(trainer, alignment):
    """What augmentation and distance make of fixed rows and embeddings."""
    views = trainer.views.draw(_fixed_rows(trainer.shape), 2, 0)
    return {"views": views.numpy(), **alignment.probe(None)}


def _embedded(model, shape):
    """What a model makes of fixed rows."""
    with seeded(0):
        return {
            layer: model.embed(_fixed_rows(shape), layer).numpy()
            for layer in ("encoder", "projector")
        }


def _fixed_rows(shape):
    import torch

    return torch.from_numpy(generator(0, "fixed rows").random((4, *shape), np.float32))
