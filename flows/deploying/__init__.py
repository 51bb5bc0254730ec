"""Deploying: the deployments of each config, as deploy/prefect.yaml and in Prefect's server."""
