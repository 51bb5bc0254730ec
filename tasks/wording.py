"""Numbers, times and foreign text as a person may read them, in HTML and in Markdown.

Names, values and messages come from data and configs: they may hold tags, newlines, terminal colours, pipes or
backticks. `clean` makes one harmless line of them; `escape_markdown` keeps Markdown from reading anything into it.
HTML's own characters are escaped by the templates.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from numbers import Integral, Real
from urllib.parse import quote

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
MARKDOWN = re.compile(r"[\\*\[\]~$]|^#|(?<![^\W_])_|_(?![^\W_])|^[-+=](?=[\s=-]|$)|^\d+[.)](?=\s|$)")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;"}
_IN_ADDRESSES = ":/?#@!$&'+,;=%-._~"
MINUS = "\u2212"
NOTHING = "\u2013"


def clean(text: object, limit: int = 600) -> str:
    """One line without control characters, terminal colours or invisible turns of direction; cut after `limit` characters."""
    line = " ".join(clean_block(str(text)).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clean_block(text: str) -> str:
    """The same for a text of several lines: newlines stay, tabs become four spaces."""
    return UNSEEN.sub("\ufffd", ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4))


def escape_markdown(text: object, limit: int = 600) -> str:
    """A cleaned line that Markdown shows as it is, in a table's cell too; pipes, tags and backticks become entities."""
    marked = MARKDOWN.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", clean(text, limit))
    return "".join(ENTITIES.get(character, character) for character in marked)


def markdown_link(address: str, text: str = "") -> str:
    """A link to an address, spelled out where it has no text; what could end it or its table cell is percent-encoded."""
    return f"[{escape_markdown(text or address)}](<{quote(clean(address), safe=_IN_ADDRESSES)}>)"


def fence(text: str, language: str = "") -> str:
    """A fenced code block that the text itself cannot close."""
    body = clean_block(text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{body}\n{marks}"


def say_number(value: object, zeros: bool = False, digits: int = 4) -> str:
    """Significant digits and thousands separators; whole numbers exactly. `zeros` keeps trailing ones, so that columns align."""
    if value is None or not isinstance(value, Real) or isinstance(value, bool):
        return NOTHING if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    number = float(value)
    if not math.isfinite(number):
        return "not a number" if math.isnan(number) else (f"{MINUS}∞" if number < 0 else "∞")
    if isinstance(value, Integral) or 1000 <= abs(number) < 1e15:
        return f"{value:,.0f}".replace("-", MINUS)
    text = f"{number:#.{digits}g}" if zeros else f"{number:.{digits}g}"
    mantissa, _, exponent = text.removesuffix(".").partition("e")
    return (mantissa + (f"e{int(exponent)}" if exponent else "")).replace("-", MINUS)


def say_difference(value: float) -> str:
    """A signed change."""
    return ("+" if value > 0 else "") + say_number(value, digits=3) if value else "0"


def say_count(count: int, noun: str) -> str:
    """`1 row`, `28,104 rows`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def say_size(count: int) -> str:
    """`140 kB`, `1.2 GB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return say_count(count, "byte")


def end_sentence(text: str) -> str:
    """With a full stop, unless it ends in a mark of its own."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?:" else f"{text}."


def say_share(share: float) -> str:
    """`0.4 %`, `37 %`."""
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < abs(percent) < 10 else f"{percent:.0f} %"


def say_duration(seconds: float) -> str:
    """`0.42 s`, `4.2 s`, `42 s`, `1 m 12 s`, `2 h 05 m`."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} m"


def say_moment(moment: datetime) -> str:
    """`1 October 2013`, or `1 October 2013, 06:30 UTC` when it is not midnight; a moment without a zone is UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    day = f"{moment.day} {moment:%B %Y}"
    return day if (moment.hour, moment.minute) == (0, 0) else f"{day}, {moment:%H:%M} UTC"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`did you mean dep_time?`, or nothing when no name is near; case does not count."""
    lowered = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f"did you mean {lowered[near[0]]}?" if near else ""
