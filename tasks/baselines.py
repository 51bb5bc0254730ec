"""Baselines: what earlier retrains left for later ones to compare with."""
