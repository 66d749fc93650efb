"""Benchmarks: one module a question. `python -m benchmarks [short|full] [name ...]` runs them."""
