"""Every method with every encoder; pairs whose encoder is large are left to the slow suite."""

import pytest

from sslmemo.encoders import ENCODERS
from sslmemo.methods import METHODS

QUICK = ("mlp", "convnet", "vit_tiny")

PAIRS = [
    pytest.param(
        m, e, marks=[] if e in QUICK or (m, e) == ("simclr", "resnet9") else pytest.mark.slow
    )
    for m in METHODS
    for e in ENCODERS
    if m != "mae" or e.startswith("vit")  # masks need patches
]
