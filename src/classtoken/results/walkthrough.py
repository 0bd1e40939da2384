"""What `walkthrough` says when it is done."""

import html
from dataclasses import dataclass
from pathlib import Path

from classtoken.results.base import Result
from classtoken.results.lines import in_a_line


def framed(page: str, height: int = 760) -> str:
    """A whole page as one element of another: it runs its own script and can reach nothing outside."""
    return (
        f'<iframe title="classtoken walkthrough" sandbox="allow-scripts allow-modals" allow="clipboard-write" '
        f'srcdoc="{html.escape(page, quote=True)}" style="width:100%;height:{int(height)}px;border:0"></iframe>'
    )


@dataclass(frozen=True)
class WalkedInput(Result):
    """One input of the page and the model's first answer to it."""

    id: str
    """in the page's address"""
    title: str
    """for a reader"""
    tokens: int
    """how many"""
    answer: str
    """the model's first answer"""
    value: float
    """a confidence, or a cosine for a model without a classifier"""
    note: str | None = None
    """of a text that is longer than the model takes: that a part of it was not read"""


@dataclass(frozen=True)
class WalkthroughResult(Result):
    """A page that was written."""

    model: str
    layout: str
    """what its tokens are"""
    out: Path
    size: int
    """bytes"""
    format_version: int
    """of the document in the page"""
    inputs: tuple[WalkedInput, ...]
    """what it shows"""
    seconds: float

    def _repr_html_(self) -> str:
        """The page itself, drawn in a notebook's cell: a sandboxed frame, so that notebook and page cannot meet."""
        return framed(self.out.read_text(encoding="utf-8"))

    def __str__(self) -> str:
        lines = [
            f"  {in_a_line(each.title)}: {each.tokens} tokens -> {in_a_line(each.answer)} ({each.value:.3f})"
            + (f"\n    {each.note}" if each.note else "")
            for each in self.inputs
        ]
        return "\n".join(
            (
                f"{self.model} ({self.layout})",
                *lines,
                f"wrote {self.out} ({self.size / 1e6:.1f} MB, {self.seconds:.1f} s); open it in any browser:",
                f"  {self.out.resolve().as_uri()}",
            )
        )
