"""Numbers read as people write them, and no text from outside is more than text."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks import wording

quick = settings(deadline=None, database=None)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (336776, "336,776"),
        (np.int64(-1200), "-1,200"),
        (0.44741, "0.4474"),
        (12.0, "12"),
        (12345.6, "12,346"),
        (999.99, "1000"),
        (0.00012, "0.00012"),
        (1.25e-5, "1.25e-5"),
        (3.2e18, "3.2e18"),
        (-0.5, "-0.5"),
        (0.0, "0"),
        (float("nan"), "not a number"),
        (float("-inf"), "-∞"),
        (True, "true"),
        ("gbdt", "gbdt"),
    ],
)
def test_numbers_have_four_digits_and_thousands_separators(value: object, said: str) -> None:
    assert wording.say_number(value) == said.replace("-", wording.MINUS)


def test_what_is_not_there_is_a_dash() -> None:
    assert wording.say_number(None) == wording.NOTHING


def test_columns_of_scores_keep_their_zeros() -> None:
    assert [wording.say_number(value, zeros=True) for value in (0.4, 12.0, 0.0)] == ["0.4000", "12.00", "0.000"]


def test_differences_carry_a_sign() -> None:
    assert [wording.say_difference(value) for value in (0.00371234, -0.5, 0.0)] == ["+0.00371", f"{wording.MINUS}0.5", "0"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.004, "0.00 s"),
        (0.42, "0.42 s"),
        (4.21, "4.2 s"),
        (9.97, "10 s"),
        (59.6, "1 m 00 s"),
        (72, "1 m 12 s"),
        (7530, "2 h 06 m"),
        (90000, "25 h 00 m"),
    ],
)
def test_durations_read_as_on_a_clock(seconds: float, said: str) -> None:
    assert wording.say_duration(seconds) == said


def test_moments_are_said_in_utc_and_midnight_is_a_day() -> None:
    assert wording.say_moment(datetime(2013, 10, 1)) == "1 October 2013"
    assert wording.say_moment(datetime(2013, 10, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))) == "30 September 2013, 23:30 UTC"
    assert wording.say_moment(datetime(2013, 10, 1, tzinfo=UTC)) == "1 October 2013"


@pytest.mark.parametrize(
    ("size", "said"), [(1, "1 byte"), (999, "999 bytes"), (140_000, "140 kB"), (289_123_456, "289 MB"), (1_234_567_890, "1.23 GB")]
)
def test_sizes_have_a_unit(size: int, said: str) -> None:
    assert wording.say_size(size) == said


@pytest.mark.parametrize(("share", "said"), [(0, "0 %"), (0.004, "0.4 %"), (0.0996, "10.0 %"), (0.37, "37 %"), (1, "100 %")])
def test_shares_are_percentages(share: float, said: str) -> None:
    assert wording.say_share(share) == said


@quick
@given(st.text())
def test_cleaned_text_is_one_line_that_can_be_written_to_a_file(text: str) -> None:
    cleaned = wording.clean(text)
    assert cleaned.splitlines() in ([], [cleaned])
    assert not {unicodedata.category(character) for character in cleaned} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(cleaned.encode()) <= 4 * 600
    assert wording.clean(cleaned) == cleaned


def test_terminal_colours_and_links_vanish_and_what_hides_is_shown() -> None:
    assert wording.clean("\x1b[1;31mred\x1b[0m and \x1b]8;;http://x\x07link\x1b]8;;\x07") == "red and link"
    assert wording.clean("invoice\u202egpj.exe\x00") == "invoice\ufffdgpj.exe\ufffd"


def test_long_text_is_cut() -> None:
    assert wording.clean("ab " * 300, 10) == "ab ab ab…"


@quick
@given(st.text(alphabet=st.sampled_from("ab \\`*_{}[]()<>#+-.!|~$&;=:/\n\"'0123")))
def test_markdown_shows_an_escaped_text_as_it_is(text: str) -> None:
    tokens = MARKDOWN.parse(f"| a |\n| --- |\n| x {wording.escape_markdown(text)} |")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 2
    assert {child.type for child in cells[1].children or []} <= {"text", "text_special"}
    assert "".join(child.content for child in cells[1].children or []) == f"x {wording.clean(text)}".strip()


@quick
@given(st.text(alphabet=st.sampled_from("ab -+=#>*1.)\n\t~`|:")))
def test_an_escaped_text_starts_no_block_either(text: str) -> None:
    escaped = wording.escape_markdown(text)
    assert [token.type for token in MARKDOWN.parse(f"first\n\n{escaped}\n")][3:] in ([], ["paragraph_open", "inline", "paragraph_close"])


@quick
@given(st.text(alphabet=st.sampled_from("ab`~ \n</details>")))
def test_a_fence_holds_whatever_is_in_it(text: str) -> None:
    tokens = MARKDOWN.parse(wording.fence(text, "yaml"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content.rstrip("\n") == wording.clean_block(text).rstrip("\n")


@pytest.mark.parametrize("tail", ["|x", ")", "](javascript:alert(1))", "<b>", " onclick=x", "`", '"', "\n\n# h"])
def test_a_markdown_link_leads_where_it_says_whatever_follows(tail: str) -> None:
    tokens = MARKDOWN.parse(f"| a |\n| --- |\n| {wording.markdown_link('https://host/page#/runs?x=1' + tail)} |")
    children = [token for token in tokens if token.type == "inline"][1].children or []
    assert [child.type for child in children if child.type not in {"text", "text_special"}] == ["link_open", "link_close"]
    assert str(children[0].attrs["href"]).startswith("https://host/page#/runs?x=1")
