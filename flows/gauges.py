"""How busy the machine was while a retrain ran: MLflow's own system metrics, on the parent run.

MLflow's monitor writes to a run by its id, through a client of its own: no fluent state, which is bound to a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.tracking import Run

SECONDS = 5.0
"""Between two samples, unless MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise; a shorter run has none."""
TALKATIVE = "mlflow.system_metrics.system_metrics_monitor"


@contextmanager
def gauges(run: Run) -> Iterator[None]:
    """CPU, memory, disk and network of the whole machine as metrics `system/...`, which MLflow shows on a tab of their own.

    Of the machine, not of this process: workers and what else competes with them are in it. A store that fails costs a
    warning of MLflow's and the rest of the samples, never the retrain.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    logger = logging.getLogger(TALKATIVE)
    level = logger.level
    logger.setLevel(logging.WARNING)  # at INFO it tells when it starts and stops, and that there is no GPU
    monitor = SystemMetricsMonitor(run.id, sampling_interval=SECONDS, tracking_uri=run.tracker.uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
        logger.setLevel(level)
