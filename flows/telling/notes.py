"""What MLflow's pages say at their top: the descriptions of a run, of a registered version and of the registered model.

Markdown, which MLflow turns into HTML with showdown's GitHub flavour and then strips of everything active. Links to other
pages of MLflow's are fragments, which lead there wherever it is served.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from flows.telling.views import Views
from tasks.records import Story
from tasks.reports.chapters.intervals import say_interval
from tasks.reports.chapters.verdict import tell_as_of, tell_banner
from tasks.tracking import Run
from tasks.wording import clean, end_sentence, escape_markdown, say_count, say_duration, say_number

MARK = "Written by Evertune"
"""Ends a model's description that may be written anew; one without it is a person's, and stays."""
SETTINGS_SHOWN = 12
log = logging.getLogger("evertune")


def run_note(story: Story, views: Views, prefect: str | None = None) -> str:
    """A run's description, the verdict first: the page folds it after three lines. `prefect` is the address of the Prefect run."""
    banner = tell_banner(story)
    word, meaning = (_text(part) for part in (banner.word, banner.meaning))
    parts = [f"**{word}**: {end_sentence(meaning)}", _text(end_sentence(banner.reason), 1000), _figures(story), _facts(story)]
    links = {
        "Report": views.report,
        "plots": views.plots,
        "trials": views.trials,
        f"version {story.result.version}": views.version,
        "the last retrains side by side": views.compare,
        "all retrains": views.retrains,
        "Prefect run": prefect or "",
    }
    undo = f"To undo: `{clean(story.undo)}`" if story.undo and story.result.verdict == "promoted" and "`" not in story.undo else ""
    return _join([*parts, _links(links), undo])


def version_note(story: Story, views: Views) -> str:
    """A registered version's description: why it went live or waits, how good it is, where it came from."""
    result = story.result
    origin = f"{_text(story.family) + ', from' if story.family else 'From'} the retrain as of {_text(tell_as_of(story))}."
    decision = f"**{_text(tell_banner(story).word)}**: {_text(end_sentence(result.reason), 1000)}"
    links = {"The retrain": views.run, "report": views.report, "plots": views.plots}
    return _join([decision, _figures(story), origin, _settings(story), _links(links)])


def model_note(story: Story, views: Views) -> str:
    """The registered model's description: what it is, how it is retrained, which version is live, and the way back."""
    name, result = _text(story.result.model), story.result
    about = end_sentence(_text(story.description, 1000)) if story.description else ""
    live = f"Version {_text(result.version)} is the champion since the retrain as of {_text(tell_as_of(story))}."
    code = clean(result.model).replace("`", "")
    parts = [
        about,
        f"{live} The alias `champion` always points at the live one: `models:/{code}@champion` loads it. `previous` is the one before it.",
        _figures(story),
        f"{name} is retrained by Evertune: each retrain makes a new model, which goes live only if it passes the gate.",
        f"Back to the one before: `evertune rollback {code}`. What happened when: `evertune history {code}`.",
        _links({"All retrains": views.retrains, "the last ones side by side": views.compare, "the last retrain": views.run}),
        f"*{MARK}; a description without this line is left alone.*",
    ]
    return _join(parts)


def write_notes(run: Run, story: Story, views: Views, prefect: str | None = None) -> None:
    """Describe the run, and the version and the model where this run registered it. Raises MLflow's errors.

    A description of the model that a person wrote is left alone.
    """
    run.tags({"mlflow.note.content": run_note(story, views, prefect)})
    result = story.result
    if not result.version or result.verdict not in ("promoted", "ask"):
        return
    if run.client.get_model_version(result.model, result.version).run_id != run.id:
        return  # the live one, which another run registered
    run.client.update_model_version(result.model, result.version, version_note(story, views))
    if result.verdict == "promoted":
        there = run.client.get_registered_model(result.model).description or ""
        if there and MARK not in there:
            log.info("%s has a description of its own in MLflow, which is left alone", result.model)
            return
        run.client.update_registered_model(result.model, model_note(story, views))


def _figures(story: Story) -> str:
    """The metric now and before, and how sure the difference is."""
    metric = story.result.metric
    now, before = metric.get("challenger"), metric.get("champion")
    if now is None:
        return ""
    text = f"{_text(metric['name'])} **{say_number(now, zeros=True)}**"
    if before is None:
        return f"{text}, with nothing to compare it with."
    interval = story.evaluation.interval if story.evaluation is not None else None
    sure = f": {say_interval(interval)}" if interval is not None else ""
    return f"{text} against {say_number(before, zeros=True)} of the {_rival(story)}{sure}."


def _rival(story: Story) -> str:
    stand_in = story.evaluation is not None and story.evaluation.compared_with == "stand-in"
    version = f" v{_text(story.champion.version)}" if story.champion is not None else ""
    return f"stand-in for champion{version}" if stand_in else f"champion{version}"


def _facts(story: Story) -> str:
    """As of when, what set it off, whether it was tuned, on how many rows, how long it took."""
    result = story.result
    facts = [f"As of {_text(tell_as_of(story))}", f"set off {_text(story.trigger)}" if story.trigger else ""]
    if story.search is not None:
        facts.append(f"tuned ({say_count(len(story.search.trials), 'trial')} in {say_duration(story.search.seconds)})")
    elif result.tune_reason:
        facts.append(f"not tuned ({_text(result.tune_reason)})")
    facts += [say_count(result.rows["train"], "row") + " to train on"] if result.rows.get("train") else []
    facts += [f"{say_duration(result.seconds['total'])} in all"] if result.seconds.get("total") else []
    return end_sentence(", ".join(filter(None, facts)))


def _settings(story: Story) -> str:
    settings = list(story.result.hyperparameters.items())
    if not settings:
        return ""
    shown = ", ".join(f"{_text(name)} {_text(say_number(value))}" for name, value in settings[:SETTINGS_SHOWN])
    more = f" and {len(settings) - SETTINGS_SHOWN} more" if len(settings) > SETTINGS_SHOWN else ""
    return f"Settings: {shown}{more}."


def _links(links: dict[str, str]) -> str:
    return " · ".join(f"[{_text(name)}](<{address}>)" for name, address in links.items() if address)


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, parts))


def _text(text: object, limit: int = 300) -> str:
    """Foreign text that showdown shows as it is: beyond Markdown, it makes links of addresses and mentions, and emoji of names."""
    escaped = escape_markdown(text, limit).replace("\\$", "$").replace("@", "&#64;").replace("://", "&#58;//")
    return re.sub(r"(?i)\bwww\.", "www&#46;", re.sub(r":(?=[\w+-]+:)", "&#58;", escaped))
