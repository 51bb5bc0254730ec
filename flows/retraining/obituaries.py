"""What a retrain that died can no longer say: whoever finds it tells those who would have heard from it."""

from __future__ import annotations

import logging
from typing import Any

from flows.events.emitting import emit_verdict
from flows.notices.sending import announce_result
from flows.reconciling.runs import End
from flows.telling.provenance import config_of
from tasks.records import Result
from tasks.sources.source import mask
from tasks.wording import clean

log = logging.getLogger("evertune")


def tell_end(end: End) -> None:
    """The event and the notices of a retrain that another process has ended. Never raises: the end itself stands."""
    tags: dict[str, Any] = end.run.data.tags
    result = Result(
        end.verdict,
        end.reason,
        end.model,
        tags.get("evertune.as_of", "")[:10],
        version=end.version,
        tuned=tags.get("evertune.tuning") == "ran",
        mlflow_run_id=end.run.info.run_id,
        prefect_flow_run_id=tags.get("evertune.flow_run_id") or None,
    )
    emit_verdict(result)
    try:
        announce_result(config_of(end.run.info.run_id), result)
    except Exception as error:  # it may have died before it could write its config down
        log.warning("whom to tell of %s's retrain is not known: %s", end.model, clean(mask(str(error)), 300))
