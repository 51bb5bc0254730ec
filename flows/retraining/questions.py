"""Questions to a person: what a suspended retrain asks, and what was answered, both kept with its flow run in Prefect.

Prefect keeps them in clear text. The name that somebody answers under is what that person typed: Prefect's server knows
one password at most, and no people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import Pause, PrefectHTTPStatusError
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.input.run_input import keyset_from_base_key
from pydantic import Field

from tasks.records import Result
from tasks.records.story import format_metric
from tasks.wording import clean, end_sentence, escape_markdown, markdown_link, say_difference, say_moment

PREFIX = "approval-"
FLOW = "retrain"
PAGE = 200
"""Flow runs that Prefect's server lists at once."""
MOST_ASKED = 100
AFTERWARDS = {"reject": "rejected", "approve": "made champion"}


class Approval(RunInput):
    """The form that the Prefect UI shows when somebody presses Resume."""

    decision: Literal["approve", "reject"] = Field(
        title="Decision", description="approve makes this version the champion; reject keeps what is live"
    )
    who: str = Field(title="Your name", description="Noted with the version", min_length=1, max_length=100, pattern=r"\S")
    reason: str = Field("", title="Reason", description="Why; noted with the version", max_length=500)


@dataclass(frozen=True)
class Question:
    """What is asked, as it was when it was first asked: enough to carry an answer out without the config."""

    model: str
    version: str
    mlflow_run_id: str
    deadline: datetime
    default: Literal["reject", "approve"]
    config: str
    """The YAML file, absolute."""

    @classmethod
    def from_json(cls, text: str) -> Question:
        told = json.loads(text)
        return cls(**{**told, "deadline": datetime.fromisoformat(told["deadline"])})

    def to_json(self) -> str:
        return json.dumps({**self.__dict__, "deadline": self.deadline.isoformat()})


@dataclass(frozen=True)
class Asked:
    """The newest question of a flow run; `number` counts them from 1. `approval` is None while nobody has answered."""

    question: Question
    number: int
    approval: Approval | None


def find_asked(client: SyncPrefectClient, flow_run_id: Any) -> Asked | None:
    """What this flow run asked last, and the answer to it."""
    found = client.filter_flow_run_input(flow_run_id, key_prefix=PREFIX, limit=MOST_ASKED, exclude_keys=set())
    numbered = {int(one.key.removeprefix(PREFIX)): one.value for one in found}
    if not numbered:
        return None
    number = max(numbered)
    return Asked(Question.from_json(numbered[number]), number, _read_approval(client, flow_run_id, number))


def suspended_runs(client: SyncPrefectClient) -> Iterator[FlowRun]:
    """The retrains that wait for somebody's answer, of every model; read at once, so that ending one skips no other."""
    runs = FlowRunFilter.model_validate({"state": {"type": {"any_": [StateType.PAUSED]}}})
    flows = FlowFilter.model_validate({"name": {"any_": [FLOW]}})
    found: list[FlowRun] = []
    while page := client.read_flow_runs(flow_filter=flows, flow_run_filter=runs, limit=PAGE, offset=len(found)):
        found += page
    yield from found


def ask(run: FlowRun, question: Question, result_page: str, number: int) -> NoReturn:
    """Suspend the flow run that this is, for the `number`-th time, with the form; the process ends.

    Prefect gets no deadline of its own: once that had passed, its server would call the run Failed before ours is kept to.
    """
    key = f"{PREFIX}{number}"
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
        if state is not None and state.is_paused():  # another process of the same run was here first
            raise Pause(state=state)
        try:
            client.create_flow_run_input(run.id, key, question.to_json())
        except PrefectHTTPStatusError as error:
            if error.response.status_code != 409:  # killed right here before: it was written then
                raise
    suspend_flow_run(wait_for_input=Approval.with_initial_data(description=result_page), key=key)
    raise AssertionError("Prefect suspends a run by raising")


def show_question(question: Question, result: Result, short: bool = False) -> str:
    """The question in Markdown: for the form where `short`, else for the artifact of the run's page."""
    name = f"{question.model} v{question.version}"
    metric = result.metric
    lines = {
        "Why a person is asked": result.reason,
        "Metric": format_metric(metric) if metric else "",
        "Difference": _difference(metric),
        "Answer until": f"{say_moment(question.deadline)}; after that it is {AFTERWARDS[question.default]}",
    }
    told = "\n".join(f"- {what}: {escape_markdown(text, 1000)}" for what, text in lines.items() if text)
    page = markdown_link(result.look["MLflow"], "The retrain in MLflow") if "MLflow" in result.look else ""
    heading = f"**Make {escape_markdown(name)} the champion?**"
    if short:
        return "\n\n".join(filter(None, (heading, told, page)))
    how = f"Answer with **Resume**, in the menu at the top right of this page, or in a shell:\n\n{commands(question)}"
    return "\n\n".join(filter(None, (heading, told, page, how)))


def show_outcome(question: Question, result: Result) -> str:
    """What became of the question, in Markdown, for the same artifact."""
    name = escape_markdown(f"{question.model} v{question.version}")
    return f"**{name}: {result.verdict}**\n\n{escape_markdown(end_sentence(clean(result.reason, 1000)), 1200)}"


def commands(question: Question) -> str:
    """How it is answered without the page, as a block of Markdown."""
    named = f"{question.model} {question.version}"
    return f"    evertune promote {named} --reason '...'\n    evertune reject {named} --reason '...'"


def absolute(path: Any) -> str:
    """The config as whoever ends the question from another folder finds it."""
    return str(Path(str(path)).absolute())


def _difference(metric: dict[str, Any]) -> str:
    """`-0.0004 in loss, between -0.0021 and +0.0029 (below 0 is better)`; nothing without a rival."""
    if metric.get("difference") is None:
        return ""
    text = f"{say_difference(metric['difference'])} in loss"
    if metric.get("low") is not None and metric.get("high") is not None:
        text += f", between {say_difference(metric['low'])} and {say_difference(metric['high'])}"
    return f"{text} (below 0 is better)"


def _read_approval(client: SyncPrefectClient, flow_run_id: Any, number: int) -> Approval | None:
    key = keyset_from_base_key(f"suspended-{PREFIX}{number}")["response"]
    try:
        return Approval.model_validate_json(client.read_flow_run_input(flow_run_id, key))
    except PrefectHTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise
