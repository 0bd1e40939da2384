"""What a command says: its answer on stdout, everything else on stderr."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""signs in names and texts that would steer a terminal"""
LONGEST = 500
"""signs of a word in a message"""


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
        return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(self.result) if self.text is None else self.text)


def wrote(out: str | Path | None) -> tuple[str, ...]:
    """The message that a file was written; none where none was."""
    if out is None:
        return ()
    opened = "; open it in a browser" if str(out).lower().endswith(".html") else ""
    return (f"wrote {out}{opened}",)


def one_line(text: str) -> str:
    """A message with its line breaks and runs of white space folded, and words that go on for pages cut."""
    words = (word if len(word) <= LONGEST else f"{word[: LONGEST // 2]}…{word[-20:]}" for word in text.split())
    return " ".join(words)
