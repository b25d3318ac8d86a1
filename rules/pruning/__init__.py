"""Weights that do no work."""
