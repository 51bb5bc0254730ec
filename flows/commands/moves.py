"""A champion that a person moved: told as a promotion is, by event and notice, since whoever deploys the model must hear of both.

A command knows a model and no config: whom to tell is read from the config of the model's last retrain, as MLflow has it. The
secrets that it names are this shell's. Nothing here raises: the move stands, whoever hears of it.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.wording import clean

if TYPE_CHECKING:
    from configs.schema import RetrainConfig
    from flows.services.registries import Review

log = logging.getLogger("evertune")


def tell_move(review: Review, act: str, version: str, before: str | None, reason: str) -> None:
    """`act` is promoted or rolled back; `before` is the champion that was replaced."""
    from tasks.registry.versions import DIGEST

    why = f"{act} by {review.by}" + (f": {reason}" if reason else "")
    told = {"model": review.name, "version": version, "reason": why, "act": act, "by": review.by, "before": before}
    found = review.find(version)
    hook = {
        **told,
        "digest": found.tags.get(DIGEST),
        "undo": shlex.join(["evertune", "rollback", review.name]) if before else None,
        "mlflow_run_id": found.run_id or None,
    }
    for telling, content in ((_emit, told), (_announce, hook)):
        try:
            telling(review, content)
        except Exception as error:  # of Prefect's client, of MLflow's, or a config that is no longer one
            log.warning("v%s is the champion, and not everybody could be told: %s: %s", version, type(error).__name__, clean(error, 300))


def _emit(review: Review, told: Mapping[str, Any]) -> None:
    """`evertune.champion.promoted`, to the server that the environment names, else to that of `evertune up`."""
    from flows.events.emitting import PROMOTED, post
    from flows.services.preflight import ask_all, prefect_service
    from flows.services.servers import client_of, server_of_pages
    from tasks.homes import Home

    home, service = Home.from_environment(), prefect_service(os.environ)
    server = None if service else server_of_pages(home)
    if service and (faults := ask_all([service])):
        log.warning("the event %s of %s could not be sent: %s", PROMOTED, review.name, faults[0])
    elif service:
        post(PROMOTED, review.name, told, os.environ["PREFECT_API_URL"])
    elif server:
        with client_of(home, server.api_url):
            post(PROMOTED, review.name, told, server.api_url)


def _announce(review: Review, told: Mapping[str, Any]) -> None:
    from flows.notices.sending import announce

    config = _last_config(review, str(told["version"]))
    if config is not None:
        announce(config, "promoted", told)


def _last_config(review: Review, version: str) -> RetrainConfig | None:
    """That of the last retrain beside the one that registered the version; None for a version that no retrain of ours made."""
    from flows.telling.provenance import config_of
    from tasks.baselines import MODEL_TAG

    made = review.find(version).run_id
    if not made:
        return None
    client = review.tracker.client
    wanted = f"tags.`{MODEL_TAG}` = '{review.name}' and tags.`evertune.kind` = 'retrain' and tags.`evertune.config_digest` != ''"
    experiment = client.get_run(made).info.experiment_id
    found = client.search_runs([experiment], wanted, max_results=1, order_by=["attributes.start_time DESC"])
    return config_of(found[0].info.run_id) if found else None
