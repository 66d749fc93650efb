"""Every method with every encoder on 8 x 8 images.

`make test` has the quick pairs, `make test-slow` all methods with encoders of up to the size of a ResNet-18
and the larger ones with SimCLR and MAE; the others, hours of the same code at another size, are marked
exhaustive.
"""

import functools

import pytest

from sslmemo.encoders import ENCODERS
from sslmemo.encoders.resnet import resnet9
from sslmemo.encoders.vit import vit_tiny
from sslmemo.methods import METHODS

SMALL_VIT = functools.partial(vit_tiny, (1, 8, 8), width=32, depth=2, heads=2)
SMALL_RESNET = functools.partial(resnet9, (1, 8, 8), width=4)
QUICK = {"mlp": "mlp", "convnet": "convnet", "small_resnet": SMALL_RESNET, "small_vit": SMALL_VIT}


LARGE = ("resnet34", "resnet50", "vit_tiny", "vit_small")  # minutes a pair on one core


def _pairs():
    for method in METHODS:
        for name, encoder in {**QUICK, **{e: e for e in ENCODERS}}.items():
            if method == "mae" and "vit" not in name:
                continue  # masks need patches
            marks = []
            if name in LARGE:
                marks = [
                    pytest.mark.slow if method in ("simclr", "mae") else pytest.mark.exhaustive
                ]
            elif name not in QUICK or not (
                method in ("simclr", "mae") or name in ("mlp", "convnet")
            ):
                marks = [pytest.mark.slow]
            yield pytest.param(method, encoder, marks=marks, id=f"{method}-{name}")


PAIRS = list(_pairs())
