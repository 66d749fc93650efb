"""A trainer and a measurement that cost nothing and are known in closed form, for tests of the pool."""

import os
import signal
import time

import numpy as np

from sslmemo.protocols import TrainingError


class MeanModel:
    """The mean of its training rows, plus a draw from its seed."""

    def __init__(self, center):
        self.center = center

    def embed(self, x, layer="encoder"):
        return x - self.center

    def state(self):
        return {"center": self.center.numpy()}


class MeanTrainer:
    """Trains instantly; fails or is killed on chosen seeds; counts its trainings in a folder."""

    def __init__(self, fail=(), log=None, pause=0.0, together=1, killed=(), kills=0):
        self.fail, self.log, self.pause, self.together = set(fail), log, pause, together
        self.killed, self.kills = set(killed), kills  # killed so often, as counted in the log

    def config(self):
        return {"trainer": "mean"}

    def max_together(self, n_rows):
        return self.together

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        models = []
        for rows, seed in zip(member, seeds):
            if self.log is not None:
                (self.log / f"{seed}-{rows.tobytes().hex()[:8]}-{time.monotonic_ns()}").touch()
            time.sleep(self.pause)
            if seed in self.killed and len(list(self.log.glob("killed-*"))) < self.kills:
                (self.log / f"killed-{time.monotonic_ns()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if seed in self.fail:
                raise TrainingError(f"seed {seed} failed")
            shift = np.random.default_rng(seed).standard_normal()
            models.append(MeanModel(data.rows(np.flatnonzero(rows)).mean(0) + shift))
        for fraction in at:
            yield fraction, models


class Norm:
    """Distance of every row from the model's centre, at chosen fractions."""

    def __init__(self, name="alignment", at=(1.0,)):
        self.name, self.at = name, at

    def config(self):
        return {"measurement": self.name, "at": list(self.at)}

    def observer(self, k, n):
        return None

    def __call__(self, models, data, member, seed, observed=None):
        x = data.rows(np.arange(len(data)))
        return {self.name: np.stack([m.embed(x).norm(dim=1).numpy() for m in models])}


class Bulky:
    """Many zeros, for records of some size."""

    name, at = "bulky", (1.0,)

    def config(self):
        return {"measurement": "bulky"}

    def observer(self, k, n):
        return None

    def __call__(self, models, data, member, seed, observed=None):
        return {"bulky": np.zeros((len(models), 1000))}
