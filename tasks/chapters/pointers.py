"""Chapter: where to look, and how to undo."""

from __future__ import annotations

import json
import shlex

from tasks.chapters.page import Cell, Chapter, Grid, Row
from tasks.records import Story


def tell_pointers(story: Story) -> Chapter | None:
    """Addresses of the run's pages, its ids, and the command that puts the last champion back."""
    result = story.result
    places = dict(result.look)
    if result.mlflow_run_id:
        places["MLflow run"] = result.mlflow_run_id
    if result.prefect_flow_run_id:
        places["Prefect flow run"] = result.prefect_flow_run_id
    rows: tuple[Row, ...] = tuple((Cell(name), Cell(where, code=True, link=is_address(where))) for name, where in places.items())
    grids = (Grid(("Page", "Where"), rows),) if rows else ()
    sentences, commands = _undo(story)
    return Chapter("Where to look, how to undo", sentences, grids, commands=commands) if rows or commands else None


def is_address(text: str) -> bool:
    """Whether a text may become a link: http and https alone."""
    return text.lower().startswith(("http://", "https://"))


def _undo(story: Story) -> tuple[tuple[str, ...], tuple[str, ...]]:
    result, champion = story.result, story.champion
    if result.verdict != "promoted":
        return ("Nothing went live, so there is nothing to undo.",), ()
    if champion is None:
        call = f'delete_registered_model_alias({json.dumps(result.model)}, "champion")'
        return ("To undo, take the alias away; there is no earlier version to go back to.",), (_command(call),)
    call = f'set_registered_model_alias({json.dumps(champion.name)}, "champion", {json.dumps(champion.version)})'
    return (f"To undo, point the alias champion back at v{champion.version}.",), (_command(call),)


def _command(call: str) -> str:
    return f"python -c {shlex.quote(f'from mlflow import MlflowClient; MlflowClient().{call}')}"
