"""What a command says: its answer on stdout, everything else on stderr."""

import json
import re
import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from classtoken.results.lines import UNSEEN

LONGEST = 500
"""signs of a word in a message"""
WIDE = 120
"""signs of a line where what is said is no terminal"""
TITLE = re.compile(r" *(?:\S+ {2,})?")
"""what stands before the words of a line: white space, and a title with at least two signs behind it"""
COMMAND = re.compile(r"(?:^|\W)classtoken [a-z]+ ")


class Printable(Protocol):
    """A result: `str()` is what a person reads, `to_json()` one JSON object."""

    def to_json(self) -> str: ...


@dataclass(frozen=True)
class Answer:
    """What a command found and its exit code; `text` is what a person reads where that is not `str(result)`.

    `after` are messages that follow it: what was written, what to do next.
    """

    result: Printable | str
    exit_code: int = 0
    text: str | None = None
    after: tuple[str, ...] = ()

    def written(self, as_json: bool) -> str:
        """As text for a person, or as one JSON object."""
        if as_json and not isinstance(self.result, str):
            return self.result.to_json()
        text = UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(self.result) if self.text is None else self.text)
        return text if isinstance(self.result, str) else in_lines(text, width_of_terminal())


def wrote(out: str | Path | None) -> tuple[str, ...]:
    """The message that a file was written; none where none was."""
    if out is None:
        return ()
    opened = "; open it in a browser" if str(out).lower().endswith(".html") else ""
    return (f"wrote {out}{opened}",)


def width_of_terminal() -> int:
    """Signs of a line: those of the terminal, of which few are too few to read; 120 in a file or a pipe."""
    return max(60, shutil.get_terminal_size().columns) if sys.__stdout__ and sys.__stdout__.isatty() else WIDE


def in_lines(text: str, width: int) -> str:
    """Sentences longer than `width` go on below themselves, behind their line's title; rows of a table and commands to
    copy stay on one line."""
    return "\n".join(part for line in text.split("\n") for part in _folded(line, width))


def _folded(line: str, width: int) -> list[str]:
    title = TITLE.match(line)
    assert title is not None
    start = title[0]
    words = line[len(start) :]
    if len(line) <= width or "  " in words or "\t" in words or COMMAND.search(line):
        return [line]
    behind = " " * (len(start) if start.strip() and len(start) < width // 3 else len(start) - len(start.lstrip()) + 2)
    return textwrap.wrap(
        words,
        width,
        initial_indent=start,
        subsequent_indent=behind if start else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def one_line(text: str) -> str:
    """A message with its line breaks and runs of white space folded, and words that go on for pages cut."""
    words = (word if len(word) <= LONGEST else f"{word[: LONGEST // 2]}…{word[-20:]}" for word in text.split())
    return " ".join(words)


def in_encoding(text: str, stream: TextIO) -> str:
    """A text as a stream can take it: signs that its encoding has not as JSON writes them, `\\u65e5`.

    So JSON stays the same JSON, and a person still sees that something is there.
    """
    encoding, errors = getattr(stream, "encoding", None) or "utf-8", getattr(stream, "errors", None) or "strict"

    def has(signs: str) -> bool:
        try:
            signs.encode(encoding, errors)
        except UnicodeEncodeError:
            return False
        return True

    return text if has(text) else "".join(sign if has(sign) else json.dumps(sign)[1:-1] for sign in text)
