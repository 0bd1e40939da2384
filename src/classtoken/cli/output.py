"""What a command says: its answer on stdout, everything else on stderr."""

from dataclasses import dataclass
from typing import Protocol


class Printable(Protocol):
    """A result: `str()` is what a person reads, `to_json()` one JSON object."""

    def to_json(self) -> str: ...


@dataclass(frozen=True)
class Answer:
    """What goes to stdout when a command is done, and the exit code."""

    text: str
    exit_code: int = 0


def answer(result: Printable, as_json: bool, *, exit_code: int = 0) -> Answer:
    """A result as text for a person, or as one JSON object."""
    return Answer(result.to_json() if as_json else str(result), exit_code)


def one_line(text: str) -> str:
    """A message with its line breaks and runs of white space folded."""
    return " ".join(text.split())
