"""Measure what self-supervised encoders memorize, per training sample, with honest error bars."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public names are loaded when first used: importing the package costs nothing beyond itself.
_PLACES = {
    "AgreementDisplay": "plotting",
    "AugmentationOverlapDisplay": "plotting",
    "ConsensusDisplay": "plotting",
    "CostAgreementDisplay": "plotting",
    "DuplicatesDisplay": "plotting",
    "KNNProbe": "probes",
    "LabelMemorizationEstimator": "baselines",
    "LinearProbe": "probes",
    "LongTailDisplay": "plotting",
    "MembershipDisplay": "plotting",
    "MemorizationEstimator": "estimator",
    "MemorizationProxy": "proxies",
    "MemorizationRankingDisplay": "plotting",
    "MemorizationResult": "result",
    "OutlierClassDisplay": "plotting",
    "RemovalDisplay": "plotting",
    "SSLEncoder": "encoder",
    "ScoreDistributionDisplay": "plotting",
    "memorization_scores": "prefit",
    "write_report": "reporting",
}

__all__ = sorted(_PLACES)


def __getattr__(name):
    if name in _PLACES:
        return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
    if name in (
        "audits",
        "baselines",
        "designs",
        "estimates",
        "experiments",
        "measurements",
        "methods",
        "proxies",
        "scorers",
        "stopping",
    ):
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__]
