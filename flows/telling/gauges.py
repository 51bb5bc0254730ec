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
    """CPU and memory of the whole machine, and its GPU where it has one, as metrics `system/...`: MLflow gives them a tab.

    Of the machine, not of this process: workers and what else competes with them are in it. Disk and network, which say
    little of a retrain, are left out, because a run's page lists all of these before the scores. They are written at the
    end, since MLflow compares runs by the metric that came first. A store that fails costs the samples and a warning of
    MLflow's, never the retrain.
    """
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
    from mlflow.utils.autologging_utils import BatchMetricsLogger

    class Gauges(SystemMetricsMonitor):  # type: ignore[misc]  # MLflow has no types
        """MLflow's stops for good when the server, which it asks every time whether the run goes on, does not answer once."""

        def monitor(self) -> None:
            while not self._shutdown_event.is_set():
                for _ in range(self.samples_before_logging):
                    self.collect_metrics()
                    if self._shutdown_event.wait(self.sampling_interval):
                        return
                self.publish_metrics(self.aggregate_metrics())

    class AtTheEnd(BatchMetricsLogger):  # type: ignore[misc]
        """Keeps what it is given until it is flushed."""

        def _should_flush(self) -> bool:
            return False

    logger = logging.getLogger(TALKATIVE)
    level = logger.level
    logger.setLevel(logging.WARNING)  # at INFO it tells when it starts and stops, and that there is no GPU
    monitor = Gauges(run.id, sampling_interval=SECONDS, tracking_uri=run.tracker.uri)
    monitor.monitors = [one for one in monitor.monitors if not isinstance(one, DiskMonitor | NetworkMonitor)]
    monitor.mlflow_logger = AtTheEnd(run.id, tracking_uri=run.tracker.uri)
    monitor.mlflow_logger.client = run.client  # which waits for a server that is away
    monitor.start()
    try:
        yield
    except BaseException:
        monitor.mlflow_logger.client = run.at_once.client  # a run that failed, or was killed, does not wait for these
        raise
    finally:
        monitor.finish()
        logger.setLevel(level)
