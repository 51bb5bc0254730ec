"""Stage: tell the whole retrain on one page, as self-contained HTML and as Markdown."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.records import Report, Story
from tasks.reports.chapters import compose_page
from tasks.reports.plots import plots
from tasks.stage import stage
from tasks.wording import clean, clean_block, escape_markdown, fence, markdown_link

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "reports" / "templates"


@stage("report")
def write_report(story: Story) -> Report:
    """The page as HTML (styles and plots inside, no script, no request) and the same as Markdown without the plots."""
    return render(story, plots(story))


def render(story: Story, drawn: dict[str, str]) -> Report:
    """Both forms of the page, around plots that are drawn already: name -> SVG."""
    page = compose_page(story)
    html = _environment("html").get_template("report.html.j2").render(page=page, drawn=drawn)
    markdown = _environment("markdown").get_template("report.md.j2").render(page=page)
    return Report(html, markdown, drawn)


@cache
def _environment(language: str) -> Environment:
    """Templates in which every `{{ value }}` is made harmless for the language it lands in, whoever wrote the value."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    finalize = _finalize_html if language == "html" else _finalize_markdown
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"block": clean_html_block, "drawing": _trusted, "raw": _trusted, "fence": _fenced, "address": _linked}
    return environment


def _finalize_html(value: Any) -> Any:
    """One clean line; autoescape does the rest. What is marked as safe comes from our own templates and plots."""
    return value if hasattr(value, "__html__") else clean(value)


def _finalize_markdown(value: Any) -> Any:
    return value if hasattr(value, "__html__") else _trusted(escape_markdown(value))


def clean_html_block(text: str) -> Any:
    """Several lines, escaped, newlines kept."""
    from markupsafe import escape

    return escape(clean_block(text))


def _fenced(text: str, language: str = "") -> Any:
    return _trusted(fence(text, language))


def _linked(address: str) -> Any:
    return _trusted(markdown_link(address))


def _trusted(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  # an SVG of our own, or a text that was escaped for Markdown
