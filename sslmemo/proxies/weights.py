"""Weights of the combination, learnt on pools of other data; empty while none are learnt."""

WEIGHTS = {}
