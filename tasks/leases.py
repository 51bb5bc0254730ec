"""Leases: one retrain of a model at a time, by a row in a database."""
