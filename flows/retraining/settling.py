"""Settling: a person's word about a version that waits is carried out in the registry, once, and written down in MLflow.

Nothing here knows Prefect. Everything is done under the model's lease, and each step finds out by itself whether a killed
process has done it already.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flows.retraining.questions import Question
from flows.retraining.retelling import retell_model, retell_report
from tasks.leases import Lease
from tasks.records import Result, Story
from tasks.registry import ALIAS, Entry, Move, make_champion, read_entry, reject_version, repair_aliases
from tasks.registry.digesting import verify_digest
from tasks.registry.versions import DIGEST, JUDGED_AGAINST, PROMOTED, PROMOTED_BY, REJECTED, moment, read_log
from tasks.reports.chapters.verdict import say_verdict
from tasks.sources.source import mask
from tasks.tracking import Run, Tracker
from tasks.wording import end_sentence, escape_markdown

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

SUMMARY_FILE = "summary.json"
ANSWERED = "evertune.approval"
"""Tag of the retrain's MLflow run: approve or reject, or `none` where it was decided elsewhere. The last that is written."""
ANSWER_BY = "evertune.answer_by"
NOTE = "mlflow.note.content"
UNDECIDED, WAITING = f"**{say_verdict('ask')}**", "**To answer**"
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Word:
    """Who says what about a version, and why."""

    decision: Literal["approve", "reject"]
    who: str
    why: str

    def __str__(self) -> str:
        said = "approved" if self.decision == "approve" else "rejected"
        return f"{said} by {self.who}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True)
class Outcome:
    """What became of the version."""

    verdict: Literal["promoted", "kept"]
    reason: str


def settle(tracker: Tracker, lease: Lease, question: Question, word: Word | None) -> Result | None:
    """Carry the word out, and bring the retrain's MLflow run up to date; a second time only tells what was done the first.

    Without a word it tells what was decided elsewhere meanwhile, and is None where nothing was. Raises Conflict when the
    version's files were changed, or the lease is lost.
    """
    told = _read_summary(tracker, question)
    run = _find_run(tracker, question)
    if run is not None and ANSWERED in run.data.tags:
        return Result(**told)  # said and done
    repair_aliases(tracker, question.model, lease)
    entry = read_entry(tracker, question.model)
    outcome = _elsewhere(entry, question, word)
    if outcome is None and word is not None:
        outcome = _carry_out(tracker, lease, entry, question, word)
    if outcome is None:
        return None
    live = read_entry(tracker, question.model).aliases.get(ALIAS)
    version = question.version if outcome.verdict == "promoted" else live
    found = entry.find(question.version)
    judged = told["reason"] if found is None else found.tags.get("evertune.reason", "")  # the summary may have been written already
    reason = ": ".join(filter(None, (outcome.reason, judged)))
    result = Result(**{**told, "verdict": outcome.verdict, "reason": reason, "version": version})
    if run is not None:
        _write_down(Run(tracker, question.mlflow_run_id), run, question, result, word)
    return result


def tell_waiting(tracker: Tracker, question: Question, how: str) -> None:
    """Say on the retrain's MLflow page until when it waits, and how it is answered."""
    run = tracker.client.get_run(question.mlflow_run_id)
    first, *others = run.data.tags.get(NOTE, "").split("\n\n")
    note = "\n\n".join(filter(None, [first, f"{WAITING}: {how}", *others]))
    Run(tracker, question.mlflow_run_id).tags({ANSWER_BY: question.deadline.isoformat(timespec="seconds"), NOTE: note})


def _elsewhere(entry: Entry, question: Question, word: Word | None) -> Outcome | None:
    """What was decided about the version by others, or by the same word before this process was killed; None where it still waits."""
    found: Any = entry.find(question.version)
    named = f"v{question.version}"
    if found is None:
        return Outcome("kept", f"{named} is gone from the registry, so there is nothing to decide")
    late = "" if word is None else f", before it was {word}"
    if str(found.version) == entry.aliases.get(ALIAS):
        by = found.tags.get(PROMOTED_BY, "somebody")
        if word is not None and word.decision == "approve" and by == word.who:
            return Outcome("promoted", str(word))
        undo = f"; to take it down: evertune rollback {question.model}" if word is not None and word.decision == "reject" else ""
        return Outcome("promoted", f"{named} was made champion by {by} meanwhile{late}{undo}")
    if REJECTED in found.tags:
        act = next((act for act in reversed(read_log(found)) if act.get("act") == "rejected"), {})
        if word is not None and word.decision == "reject" and act.get("by") == word.who:
            return Outcome("kept", str(word))
        why = f" ({act['why']})" if act.get("why") else ""
        return Outcome("kept", f"{named} was rejected by {act.get('by', 'somebody')}{why} meanwhile{late}")
    if PROMOTED in found.tags:
        return Outcome("kept", f"{named} was made champion meanwhile, and was replaced again{late}")
    before, now = found.tags.get(JUDGED_AGAINST, ""), entry.aliases.get(ALIAS) or ""
    if before != now and (word is None or word.decision == "approve"):
        moved = f"the champion moved from {_version(before)} to {_version(now)} since {named} was judged"
        return Outcome("kept", f"{moved}, so that {f'it is not {word}' if word else 'it waits no more'}; the next retrain judges anew")
    return None


def _carry_out(tracker: Tracker, lease: Lease, entry: Entry, question: Question, word: Word) -> Outcome:
    found = entry.find(question.version)
    assert found is not None
    if word.decision == "reject":
        reject_version(tracker, question.model, question.version, lease, word.who, word.why)
        return Outcome("kept", str(word))
    verify_digest(found.source, found.tags.get(DIGEST, ""))
    make_champion(tracker, question.model, question.version, entry.aliases.get(ALIAS), lease, Move(word.who, word.why))
    return Outcome("promoted", str(word))


def _find_run(tracker: Tracker, question: Question) -> MlflowRun | None:
    """The retrain's MLflow run; None where somebody has deleted it for good."""
    from mlflow.exceptions import MlflowException

    try:
        return tracker.client.get_run(question.mlflow_run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            log.warning("MLflow's run %s is gone, so what becomes of v%s is not written there", question.mlflow_run_id, question.version)
            return None
        raise


def _read_summary(tracker: Tracker, question: Question) -> dict[str, Any]:
    """What the retrain came to before anybody was asked, or what it came to by now; the bare necessities where that cannot be read."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        return dict(mlflow.artifacts.load_dict(f"runs:/{question.mlflow_run_id}/{SUMMARY_FILE}"))
    except (MlflowException, OSError, ValueError) as error:
        log.warning("the summary of MLflow's run %s cannot be read: %s", question.mlflow_run_id, mask(str(error)))
        return {"model": question.model, "as_of": "", "mlflow_run_id": question.mlflow_run_id, "verdict": "ask", "reason": ""}


def _write_down(run: Run, found: MlflowRun, question: Question, result: Result, word: Word | None) -> None:
    """Into the retrain's own run, the summary first: the same retrain answers from it. The tag that says it is done comes last."""
    run.json(result.to_dict(), SUMMARY_FILE)
    tags = found.data.tags
    name = f"{tags.get('mlflow.runName', question.model).removesuffix(' ask').removesuffix(f' {result.verdict}')} {result.verdict}"
    run.tags({"evertune.verdict": result.verdict, "evertune.reason": result.reason, "mlflow.runName": name})
    run.tags({"evertune.version": result.version} if result.version else {})
    retold = f"**{say_verdict(result.verdict)}**: {end_sentence(escape_markdown(result.reason, 1000))}"
    run.tags({NOTE: _retell(tags.get(NOTE, ""), retold)})
    version = read_entry(run.tracker, question.model).find(question.version)
    if version is not None:
        told = retold if result.verdict == "promoted" else f"**Not promoted**: {retold.partition(': ')[2]}"
        run.client.update_model_version(question.model, question.version, _retell(version.description or "", told))
    story = Story(result, "", datetime.fromtimestamp(found.info.start_time / 1000, UTC), "")
    retell_report(run, story)
    if result.verdict == "promoted":
        retell_model(run, story)
    said = {"evertune.approval_by": word.who, "evertune.approval_reason": word.why} if word else {}
    run.tags({**said, "evertune.approval_at": moment(), ANSWERED: word.decision if word else "none"})


def _retell(note: str, headline: str) -> str:
    """A description with this at its top, instead of that it was undecided, and why, and how to answer."""
    first, *others = note.split("\n\n")
    if first == headline:
        return note
    if not first.startswith(UNDECIDED):
        return "\n\n".join(filter(None, [headline, note]))
    asked = [part for part in others if not part.startswith(WAITING)]
    return "\n\n".join([headline, *(asked[1:] if len(asked) < len(others) else asked)])


def _version(number: str) -> str:
    return f"v{number}" if number else "nobody"
