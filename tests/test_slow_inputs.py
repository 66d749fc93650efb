"""Thousands of calls with whatever comes in, and every parameter with every kind of junk."""

from collections import Counter

import pytest
from any_input import (
    FUZZ,
    JUNK_FOR,
    PENDING,
    TABLE,
    cases,
    check,
    check_refusal,
    estimator,
    junk_for,
    untouched,
)
from hypothesis import given, settings

from sslmemo.protocols import TrainingError

pytestmark = pytest.mark.slow
EXAMPLES = 2000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # any word is the name of a folder


@pytest.mark.filterwarnings("ignore")
def test_two_thousand_calls_keep_the_promises():
    tally = Counter()

    @settings(max_examples=EXAMPLES, **FUZZ)
    @given(cases())
    def run(case):
        check(case, tally)

    run()
    said = [f"{target} {kind}: {n}" for (target, kind), n in sorted(tally.items())]
    total = sum(n for (_, kind), n in tally.items() if kind != "accepted, with NaN")
    print(f"\n{total} calls; " + "; ".join(said))
    assert total >= EXAMPLES


@pytest.mark.filterwarnings("ignore")
def test_junk_is_refused_by_the_name_of_its_parameter():
    tally = Counter()
    for name in JUNK_FOR:
        for value in junk_for(name) if name not in PENDING else ():
            fit = {name: value} if name in ("y", "groups") else {}
            with untouched() as started:
                try:
                    estimator(**({} if fit else {name: value})).fit(TABLE, **fit)
                    tally["accepted"] += 1
                except TrainingError:
                    assert name == "learning_rate"
                    tally["diverged"] += 1
                except Exception as error:
                    check_refusal(error, started, name)
                    tally["refused"] += 1
    print(f"\n{tally.total()} values of {len(JUNK_FOR)} parameters: {dict(tally)}")
    assert tally["refused"] > 900
