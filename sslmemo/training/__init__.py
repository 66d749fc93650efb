"""Trainers: rows and seeds in, fitted models out."""
