"""Approval: a deployed retrain whose verdict is `ask` suspends, asks in the Prefect UI, and goes on with the answer, elsewhere perhaps.

The candidate is registered and tagged as pending before anybody is asked, so the process can go: whoever resumes the run,
on whatever machine, finds question and answer with the flow run in Prefect, and the version in the registry. What is not
answered in time is ended by `expire_approvals`. Of an answer and a deadline, and of two answers, the first one counts.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.states import Completed

from configs.reading import read_config
from configs.schema import RetrainConfig
from flows.events.emitting import emit_verdict
from flows.notices.sending import announce_result
from flows.retraining.questions import (
    PREFIX,
    Asked,
    Question,
    absolute,
    ask,
    commands,
    find_asked,
    show_outcome,
    show_question,
    suspended_runs,
)
from flows.retraining.settling import Word, settle, tell_waiting
from flows.services.preflight import check_services, studies_url
from flows.services.registries import open_registry
from tasks.artifacts import publish_markdown
from tasks.errors import Conflict, EvertuneError
from tasks.homes import Home
from tasks.leases import Lease, hold_lease
from tasks.records import Result
from tasks.registry import waits
from tasks.tracking import Tracker, connect, service_fault
from tasks.wording import clean, say_moment

ARTIFACT = "approval"
NOBODY = "evertune, after the deadline"
EXPIRY_SECONDS = 60.0
"""Of the lease under which an unanswered question is ended."""
log = logging.getLogger("evertune")


def ask_person(config: RetrainConfig, result: Result) -> None:
    """Suspend the flow run until somebody answers; returns at once where there is no deployment to resume."""
    run = _deployed_run()
    if run is None or result.version is None or result.mlflow_run_id is None:
        return
    asked, approval = _asked(run), config.operation.approval
    deadline, place = datetime.now(UTC) + approval.deadline, absolute(run.parameters["config"])
    question = Question(config.model_name, result.version, result.mlflow_run_id, deadline, approval.default, place)
    _tell_mlflow(config, question, result)
    publish_markdown(ARTIFACT, show_question(question, result), f"{question.model} v{question.version} waits for an answer")
    ask(run, question, show_question(question, result, short=True), asked.number + 1 if asked else 1)


def find_answer(config: RetrainConfig) -> Result | None:
    """What a person answered, carried out, where this flow run is one that was suspended and is resumed; None for any other.

    A run that was resumed past its form, which only Prefect's API can do, asks again; the deadline stays. A run that failed
    on its way to carry an answer out, and is retried, carries it out. Raises Conflict where the model is held for longer than
    `operation.wait`, or the version's files were changed; ServiceUnavailable.
    """
    run = _deployed_run()
    asked = _asked(run) if run is not None else None
    if run is None or asked is None:
        return None
    question, said = asked.question, asked.approval
    resumed = f"{PREFIX}{asked.number}" in (run.empirical_policy.pause_keys or ())
    if said is None:
        if not resumed:
            return None  # suspended once, ended, and retried as a whole
        log.warning("the run was resumed without an answer, and asks again until %s", say_moment(question.deadline))
        ask(run, question, _reminder(question), asked.number + 1)
    home = Home.from_environment()
    check_services()
    tracker = connect(home, config.name)
    word = Word(said.decision, clean(said.who, 100), clean(said.reason, 500))
    if not resumed and not waits(tracker, question.model, question.version):
        return None  # answered and carried out; a retry of the whole run is a new retrain
    wait = config.operation.wait.total_seconds()
    try:
        with _lease(home, question, config.registry.lease_seconds, wait) as lease:
            result = settle(tracker, lease, question, word)
    except Exception as error:
        foreseen = None if isinstance(error, EvertuneError) else service_fault(error)
        if foreseen is None:
            raise
        raise foreseen from error
    assert result is not None
    publish_markdown(ARTIFACT, show_outcome(question, result), clean(result.reason))
    return result


def expire_approvals(model: str | None = None, lease: Lease | None = None) -> list[str]:
    """End the suspended retrains (of one model, or of all) that nobody answered in time, or whose version was decided elsewhere.

    `operation.approval.default`, as it was when it was asked, is applied to the version, and the flow run is Completed as
    Promoted or Kept. `lease` is for whoever holds that model already. Returns a line for each; what somebody else holds, or
    what cannot be carried out, is left to the next look, and logged. Raises ServiceUnavailable, and ConfigError where
    somebody is asked about a version and there is no registry here.
    """
    with get_client(sync_client=True) as client:
        found = [(run, asked.question) for run in suspended_runs(client) if (asked := find_asked(client, run.id)) is not None]
        waiting = [(run, question) for run, question in found if model in (None, question.model)]
        if not waiting:
            return []
        with open_registry() as (tracker, home):
            return [line for run, question in waiting for line in _expire(client, tracker, home, lease, run, question)]


def _expire(client: SyncPrefectClient, tracker: Tracker, home: Home, lease: Lease | None, run: FlowRun, question: Question) -> list[str]:
    if datetime.now(UTC) < question.deadline and waits(tracker, question.model, question.version):
        return []
    try:
        with nullcontext(lease) if lease else _lease(home, question, EXPIRY_SECONDS) as held:
            return _end(client, tracker, held, run, question)
    except Conflict as error:
        log.warning("%s v%s waits on, though it need not: %s", question.model, question.version, error)
        return []


def _end(client: SyncPrefectClient, tracker: Tracker, lease: Lease, run: FlowRun, question: Question) -> list[str]:
    """End one suspended run; nothing where somebody has answered in this very moment."""
    state = client.read_flow_run(run.id).state
    if state is None or not state.is_paused():
        return []
    overdue = datetime.now(UTC) >= question.deadline
    config, fault = _read_config(question)
    result = settle(tracker, lease, question, _default(question, fault) if overdue else None)
    if result is None:
        return []
    message = clean(result.reason)
    client.set_flow_run_state(run.id, Completed(name=result.verdict.title(), message=message))
    if overdue or result.verdict != "promoted":  # a command has told of its own promotion
        emit_verdict(result)
        if config is not None:
            announce_result(config, result)
    line = f"{question.model} v{question.version}: {result.verdict}: {message}"
    log.info("%s", line)
    return [line]


def _default(question: Question, fault: str) -> Word:
    """What is done where nobody answered; nothing goes live by itself whose config is gone."""
    why = f"nobody answered by {say_moment(question.deadline)}; operation.approval.default is {question.default}"
    if question.default == "approve" and fault:
        return Word("reject", NOBODY, f"{why}, but its config cannot be read: {fault}")
    return Word(question.default, NOBODY, why)


def _read_config(question: Question) -> tuple[RetrainConfig | None, str]:
    """The config of the retrain that asked, or why there is none any more."""
    try:
        return read_config(question.config), ""
    except EvertuneError as error:
        return None, clean(error, 200)


def _lease(home: Home, question: Question, seconds: float, wait: float = 0.0) -> AbstractContextManager[Lease]:
    return hold_lease(studies_url(home), question.model, seconds, f"the approval of v{question.version}", wait=wait)


def _tell_mlflow(config: RetrainConfig, question: Question, result: Result) -> None:
    """The question stands, in Prefect; that MLflow's page could not be told of it must not keep it from being asked."""
    page = f" on [the run's page in Prefect](<{result.look['Prefect']}>), or" if "Prefect" in result.look else ""
    how = f"until {say_moment(question.deadline)}{page} in a shell:\n{commands(question)}"
    try:
        tell_waiting(connect(Home.from_environment(), config.name), question, how)
    except Exception as error:
        foreseen = error if isinstance(error, EvertuneError) else service_fault(error)
        if foreseen is None:
            raise
        log.error("the description of the MLflow run could not be changed: %s", foreseen)


def _reminder(question: Question) -> str:
    return f"This run was resumed without an answer. It waits for one until {say_moment(question.deadline)}."


def _asked(run: FlowRun) -> Asked | None:
    with get_client(sync_client=True) as client:
        return find_asked(client, run.id)


def _deployed_run() -> FlowRun | None:
    """The flow run that this is, where a worker could start it again: of a deployment, and not within another flow."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return None if run is None or run.deployment_id is None or run.parent_task_run_id is not None else run
