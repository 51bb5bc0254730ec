"""The template of a notice: Jinja in a sandbox, and of Jinja only what always ends, soon and in little space.

It may print fields, filter, choose (`if`) and go over what has several entries (`for name, address in links.items()`). It may
not call, multiply, assign, import or nest loops, so its cost is bounded by its length. FIELDS is all that it sees.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tasks.wording import clean, did_you_mean, say_number

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

SCHEMA = "evertune.notice/1"
FIELDS: dict[str, str | dict[str, str]] = {
    "schema": f"{SCHEMA}: under one number fields may be added; none is renamed, taken away or given another meaning",
    "id": "text, another one for every notice; what is delivered twice has it twice",
    "sent": "when it was sent, ISO 8601, UTC",
    "event": "what it is about: promoted, kept, asked, unchanged, failed, data_rejected, drift, decay, old or worse",
    "occurrences": "list of all of these that hold, `event` first",
    "headline": "one line, such as `flights 2013-10-01: promoted, v12`",
    "model": "name of the registered model",
    "as_of": "the instant that the retrain stood at, or null",
    "verdict": "promoted, kept, ask, unchanged, failed, data_rejected; null where no retrain ran",
    "reason": "why, in one or more sentences",
    "version": "of the model: the candidate where one was registered, else the champion; text or null",
    "model_uri": "models:/<model>@champion: what MLflow loads as the champion, whichever version that is",
    "version_uri": "models:/<model>/<version>: this version for good; null without one",
    "digest": "SHA-256 of the version's files, as its tag evertune.digest has it, or null",
    "metric": {
        "name": "the metric that was judged on, or null",
        "challenger": "number or null",
        "champion": "number or null",
        "difference": "how much worse than the champion, in the metric's units; below 0: better; null without an interval",
        "low": "the true difference is above it with the probability `confidence`",
        "high": "and below this with the same one",
        "confidence": "such as 0.95, or null",
    },
    "tuned": "true, false, or null where no retrain ran",
    "tune_reason": "why it was tuned or not",
    "rows": {"train": "rows trained on", "test": "rows judged on"},
    "links": "name -> address: MLflow, Prefect, ...",
    "mlflow_run_id": "text or null",
    "prefect_flow_run_id": "text or null",
    "undo": "the command that puts the previous champion back, where this one was promoted over it; else null",
    "approve": "the command that says yes to a version that waits; else null",
    "reject": "the command that says no to it; else null",
    "details": "name -> value: what a drift, a decay or an old champion has to tell beside these",
}
"""Field -> what it holds; every field is always there. A webhook's JSON has `text` too: the template's, or the plain summary."""
SEVERAL = ("links", "details", "metric", "rows")
"""Fields that a template may go over."""
OPEN = ("links", "details")
"""Of these, those whose entries have names of their own."""
LONGEST = 20_000
"""Characters that a template may come to; the rest is cut off."""
PRINTED = ("Output", "TemplateData", "Name", "Getattr", "Getitem", "Const", "Filter", "Keyword", "Tuple", "Call")
CHOSEN = ("If", "CondExpr", "For", "Test", "Compare", "Operand", "And", "Or", "Not")
RECKONED = ("Add", "Sub", "Div", "Neg", "Pos", "Concat")
"""Jinja's nodes that always end. Mul is not one: it makes a gigabyte of a single letter."""
FILTERS = (
    *("abs", "capitalize", "d", "default", "first", "float", "int", "join", "last", "length"),
    *("lower", "number", "round", "title", "tojson", "trim", "truncate", "upper"),
)


def template_faults(template: str) -> Iterator[str]:
    """What is wrong with a template: it does not parse, it uses what is not allowed, or a field that there is not."""
    from jinja2 import TemplateSyntaxError

    environment = _environment(str)
    try:
        tree = environment.parse(template)
    except (TemplateSyntaxError, ValueError) as error:  # the latter for a number of too many digits
        line = f"line {error.lineno}: " if isinstance(error, TemplateSyntaxError) else ""
        yield f"does not parse: {line}{clean(error, 200)}"
        return
    for faults in (_forbidden(tree), _unknown(tree), _faults_of_trial(template)):
        found = list(dict.fromkeys(faults))
        yield from found
        if found:
            return  # to look further is to have Jinja reckon constants, and so to run what was just refused


def render(template: str, fields: Mapping[str, Any], escape: Callable[[str], str] = str) -> str:
    """The template's text over these fields, at most LONGEST characters; `escape` is put on every value, not on the template's own text.

    Raises whatever a filter raises on a value that it was not made for.
    """
    written = io.StringIO()
    for piece in _environment(escape).from_string(template).generate(fields):
        written.write(piece)
        if written.tell() > LONGEST:
            return written.getvalue()[: LONGEST - 1] + "…"
    return written.getvalue()


def example(present: bool = True) -> dict[str, Any]:
    """Every field with something in it, or with nothing in it: what a template is tried on."""
    numbers = {"metric": ("challenger", "champion", "difference", "low", "high", "confidence"), "rows": ("train", "test")}
    filled: dict[str, Any] = {}
    for name, told in FIELDS.items():
        if isinstance(told, dict):
            filled[name] = {key: (0.5 if key in numbers[name] else "log_loss") if present else None for key in told}
        elif name in OPEN:
            filled[name] = {"MLflow": "http://127.0.0.1:5000/"} if present else {}
        else:
            filled[name] = name if present else None
    return filled | {"occurrences": ["promoted"], "tuned": True if present else None}


def _environment(escape: Callable[[str], str]) -> SandboxedEnvironment:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def finish(value: Any) -> str:
        return "" if value is None else escape(str(value))

    made = ImmutableSandboxedEnvironment(autoescape=False, finalize=finish, trim_blocks=True, lstrip_blocks=True)
    made.filters["number"] = say_number
    made.globals.clear()
    return made


def _forbidden(tree: nodes.Template) -> Iterator[str]:
    from jinja2 import nodes

    for node in tree.find_all(nodes.Node):
        kind = type(node).__name__
        if kind not in (*PRINTED, *CHOSEN, *RECKONED):
            there = f"there are fields, filters, if, and for over {', '.join(SEVERAL)}"
            yield f"line {node.lineno}: {_spelled(kind)} is not for a notice; {there}"
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            yield f"line {node.lineno}: there is no filter {node.name!r} here; there are {', '.join(FILTERS)}"
        elif isinstance(node, nodes.Call) and not _lists(node):
            yield f"line {node.lineno}: nothing may be called but .items() of {', '.join(SEVERAL)}"
        elif isinstance(node, nodes.For):
            yield from _faults_of_loop(node)
        elif isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            yield f"line {node.lineno}: nothing that begins with _ may be looked at, got {clean(node.attr, 40)}"


def _faults_of_loop(node: nodes.For) -> Iterator[str]:
    from jinja2 import nodes

    over = node.iter
    if not (isinstance(over, nodes.Call) or (isinstance(over, nodes.Name) and over.name in (*SEVERAL, "occurrences"))):
        yield f"line {node.lineno}: a loop goes over one of {', '.join(SEVERAL)}, or their .items()"
    if node.recursive or any(True for inner in node.body for _ in (*inner.find_all(nodes.For), *([inner] * isinstance(inner, nodes.For)))):
        yield f"line {node.lineno}: a loop may not hold another one"


def _lists(call: nodes.Call) -> bool:
    """Whether it is `links.items()` and its like."""
    from jinja2 import nodes

    called, given = call.node, (call.args, call.kwargs, call.dyn_args, call.dyn_kwargs)
    if not isinstance(called, nodes.Getattr) or called.attr != "items" or any(given):
        return False
    return isinstance(called.node, nodes.Name) and called.node.name in SEVERAL


def _unknown(tree: nodes.Template) -> Iterator[str]:
    """Fields that there are not, in branches that are not taken too."""
    from jinja2 import meta, nodes

    for name in sorted(meta.find_undeclared_variables(tree) - FIELDS.keys()):
        hint = did_you_mean(name, FIELDS) or f"there are {', '.join(FIELDS)}"
        yield f"there is no field {name!r}; {hint}"
    looked: list[tuple[nodes.Expr, object, int]] = [(one.node, one.attr, one.lineno) for one in tree.find_all(nodes.Getattr)]
    looked += [(one.node, getattr(one.arg, "value", None), one.lineno) for one in tree.find_all(nodes.Getitem)]
    for owner, key, line in looked:
        if not isinstance(owner, nodes.Name) or owner.name not in FIELDS or owner.name in OPEN:
            continue
        inner = FIELDS[owner.name]
        if isinstance(inner, dict) and key in (*inner, "items"):
            continue
        hint = did_you_mean(str(key), inner) or f"there are {', '.join(inner)}" if isinstance(inner, dict) else "it has no parts"
        yield f"line {line}: {owner.name} has no {key!r}; {hint}"


def _faults_of_trial(template: str) -> Iterator[str]:
    """A filter may meet a value that it was not made for."""
    for present in (True, False):
        try:
            render(template, example(present))
        except Exception as error:  # jinja2's, and whatever a filter raises
            when = "" if present else " where a field is null; ask with if, or give a default(...)"
            yield f"cannot be filled in{when}: {clean(error, 200)}"
            return


def _spelled(kind: str) -> str:
    """`Mul` as a template has it."""
    signs = {"Mul": "*", "Pow": "**", "Mod": "%", "FloorDiv": "//", "Assign": "set", "AssignBlock": "set"}
    return signs.get(kind, kind.lower())
