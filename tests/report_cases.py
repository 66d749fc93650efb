"""Fitted estimators for the tests of reports, made without training where there are many rows."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.utils import Bunch

from sslmemo import MemorizationEstimator, MemorizationResult
from sslmemo.augmentations import build_augmentation
from sslmemo.augmentations.views import Views
from sslmemo.data import RowIndex
from sslmemo.designs import Subsample
from sslmemo.pool import Run

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
OFFLINE = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
           "--disable-component-update", "--disable-sync")  # fmt: skip


def simulated(X, y=None, n_encoders=16, augmentation="auto"):
    """An estimator as `fit` leaves it, with alignments drawn instead of measured."""
    estimator = MemorizationEstimator(n_encoders=n_encoders, augmentation=augmentation, verbose=0)
    data, rng = estimator._read(X, reset=True), np.random.default_rng(0)
    plan = Subsample().draw(len(data), n_encoders, entropy=0)
    true = rng.gamma(2.0, 0.05, len(data))
    alignment = rng.normal(1.0, 0.02, plan.member.shape) - true * plan.member
    estimator.result_ = MemorizationResult(
        Run(plan, {"alignment": alignment}, {}, np.ones(n_encoders // 2))
    )
    estimator._index, estimator._labels = RowIndex(data), y
    estimator._representation = rng.standard_normal((len(data), 16))
    views = Views(build_augmentation(augmentation, data))
    estimator._fitted_trainer = SimpleNamespace(views=views)
    return estimator


def browser():
    """Context manager of a headless browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium found")
    return _Browser(playwright.sync_playwright())


class _Browser:
    def __init__(self, manager):
        self.manager = manager

    def __enter__(self):
        self.browser = self.manager.__enter__().chromium.launch(
            executable_path=CHROMIUM, args=OFFLINE
        )
        return self.browser

    def __exit__(self, *error):
        self.browser.close()
        self.manager.__exit__(*error)


def open_page(browser, path, scheme="light", width=1280, height=900):
    """A report in a page, with what it logged and asked for: Bunch(page, messages, requests)."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
    )
    page, messages, requests = context.new_page(), [], []
    page.on("console", lambda m: messages.append(m.text))
    page.on("pageerror", lambda e: messages.append(str(e)))
    page.on("request", lambda r: requests.append(r.url))
    page.goto(path.as_uri())
    return Bunch(page=page, messages=messages, requests=requests)
