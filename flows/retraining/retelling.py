"""Retelling: the report and the model's description said `ask`; they tell what came of it, once somebody has decided."""

from __future__ import annotations

import html
import logging
import re
from pathlib import Path

from flows.telling.notes import MARK, model_note
from flows.telling.views import REPORT, find_views
from tasks.records import Story
from tasks.reports.chapters.verdict import tell_banner
from tasks.sources.source import mask
from tasks.tracking import Run
from tasks.wording import clean

BANNER = re.compile(r'<section class="banner [a-z]*">.*?</section>', re.DOTALL)
TITLE = re.compile(r"(<title>.*): [^:<]*</title>")
log = logging.getLogger("evertune")


def retell_report(run: Run, story: Story) -> None:
    """The same report with the outcome at its top, in MLflow and, where it was written on this machine, in its home."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        page = mlflow.artifacts.load_text(f"runs:/{run.id}/{REPORT}")
    except (MlflowException, OSError, ValueError) as error:
        log.warning("the report of MLflow's run %s cannot be read, so it is not told what came of it: %s", run.id, mask(str(error)))
        return
    told = with_outcome(page, story)
    run.text(told, REPORT)
    here = Path(story.result.report) if story.result.report else None
    if here is not None and here.is_file():
        here.write_text(told, encoding="utf-8")


def with_outcome(page: str, story: Story) -> str:
    """The page with this story's verdict in its title and its banner; everything below is as it was when it was asked."""
    banner = tell_banner(story)
    word, meaning, reason = (html.escape(clean(text)) for text in (banner.word, banner.meaning, banner.reason))
    lines = (
        f'<section class="banner {banner.tone}">',
        f'<p class="word">{word} <span>{meaning}</span></p>',
        f'<p class="reason">{reason}</p>',
        "</section>",
    )
    page = TITLE.sub(lambda found: f"{found[1]}: {word}</title>", page, count=1)
    return BANNER.sub(lambda _: "\n".join(lines), page, count=1)


def retell_model(run: Run, story: Story) -> None:
    """The registered model's description names its new champion; one that a person wrote is left alone."""
    there = run.client.get_registered_model(story.result.model).description or ""
    if there and MARK not in there:
        return
    note = model_note(story, find_views(run, story))
    about = there.partition("\n\n")[0]  # what the config says of the model, escaped already
    run.client.update_registered_model(story.result.model, note if about.startswith("Version ") or not about else f"{about}\n\n{note}")
