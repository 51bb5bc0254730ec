"""Executors: where fits run. One file each; a fit that crashes, hangs or eats memory costs its trial and nothing else."""
