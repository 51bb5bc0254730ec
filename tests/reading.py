"""Reads reports back: HTML through the standard library's parser, Markdown through markdown-it."""

from __future__ import annotations

from html.parser import HTMLParser

from markdown_it import MarkdownIt

VOID = {"meta", "path", "rect", "use"}


class Reader(HTMLParser):
    """Every element with its attributes, and the text inside; refuses what is not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def rows_of(markdown: str, heading: str) -> list[list[str]]:
    """The rows of the first table whose first heading is this."""
    table = markdown[markdown.index(f"\n| {heading} |") + 1 :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:] if line.startswith("|")]


def blocks(markdown: str) -> list[str]:
    """Kinds of Markdown's tokens in order, but for plain text and its line breaks."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    flat = [child for token in tokens for child in ([token] if token.children is None else token.children)]
    return [token.type for token in flat if token.type not in {"text", "text_special"}]
