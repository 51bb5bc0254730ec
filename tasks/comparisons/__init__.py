"""Comparisons of two models on the same rows, and how sure they are."""
