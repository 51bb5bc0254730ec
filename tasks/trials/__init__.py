"""Trials: the search itself, from proposals to the choice of the best; no stage, no MLflow, no Prefect."""
