"""The names of poolings: `cls`, `queries(8)`, `cls+mean@-2`. Parse and print; no torch.

    spec = term *("+" term)               the vectors of the terms, one after another
    term = name ["(" argument ")"] ["@" layer]

`@` binds to its own term. Without it a term reads the last block's states after the final norm. `@0` reads the
embeddings, `@k` the states after block k (the first block is 1), `@-1` the last block and `@-2` the one before it,
all without the final norm; the suffix `n` (`@6n`) applies the final norm. `str(parse(text))` is canonical: the same
readout has one name, which is what a column of an output table is called.
"""

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from classtoken.errors import SpecError
from classtoken.pooling.table import About, Argument, about, names

_TERM = re.compile(r"(?P<name>[^()@]*)(?:\((?P<argument>[^()]*)\))?(?:@(?P<layer>[^()@]*))?")
_LAYER = re.compile(r"(?P<number>0|-?[1-9][0-9]*)(?P<normed>n?)")


@dataclass(frozen=True)
class Term:
    """One pooling of one layer. `layer` None: the last block's states after the final norm."""

    name: str
    argument: Argument | None = None
    layer: int | None = None
    normed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "argument", _checked(self.about, self.argument))
        if self.layer == -1 and self.normed:  # what is read when nothing is said
            object.__setattr__(self, "layer", None)
        if self.layer is None:
            object.__setattr__(self, "normed", False)
        if self.name == "pooler" and self.layer is not None:
            raise SpecError(f"pooler takes no layer, and {str(self)!r} names one: it is what the checkpoint computes.")

    @cached_property
    def about(self) -> About:
        """What the name means."""
        row = about(self.name)
        if row is None:
            raise SpecError(_unknown(self.name))
        return row

    @property
    def learned(self) -> bool:
        """It has parameters, so that it needs trained weights."""
        return self.about.learned or self.argument == "learned"

    def block(self, depth: int) -> int | Literal["embeddings"] | None:
        """Which states to ask of an encoder with `depth` blocks, as `Encoder.forward(layers=...)` counts: a block from
        0, or "embeddings"; None for the last states after the final norm. `@3` is block 2, `@-1` is block depth - 1.

        Raises `SpecError` when there is no such block.
        """
        if self.layer is None:
            return None
        if self.layer == 0:
            return "embeddings"
        block = self.layer - 1 if self.layer > 0 else depth + self.layer
        if not 0 <= block < depth:
            raise SpecError(
                f"{str(self)!r} asks for layer {self.layer}, and this encoder has {depth} blocks. "
                f"Write @0 (the embeddings) to @{depth}, or @-1 to @-{depth} from the end."
            )
        return block

    def __str__(self) -> str:
        argument = "" if self.argument in (None, self.about.default) else f"({_printed(self.argument)})"
        layer = "" if self.layer is None else f"@{self.layer}{'n' if self.normed else ''}"
        return f"{self.name}{argument}{layer}"


@dataclass(frozen=True)
class Spec:
    """Poolings whose vectors stand one after another."""

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise SpecError(f"a pooling must be named; write {_known()}, or several joined by +.")
        for term in self.terms:
            if self.terms.count(term) > 1:
                raise SpecError(f"{str(self)!r} names {str(term)!r} twice; name each vector once.")

    @property
    def learned(self) -> bool:
        """At least one term needs trained weights."""
        return any(term.learned for term in self.terms)

    def blocks(self, depth: int) -> tuple[int | Literal["embeddings"], ...]:
        """The layers to ask of the encoder, besides its last states; each once, in the order of the terms."""
        asked = (term.block(depth) for term in self.terms)
        return tuple(dict.fromkeys(block for block in asked if block is not None))

    def __str__(self) -> str:
        return "+".join(map(str, self.terms))


def parse(text: str | Spec) -> Spec:
    """Read the name of a readout. Raises `SpecError`: what cannot be read, what is allowed, the nearest name."""
    if isinstance(text, Spec):
        return text
    _check_text(text)
    if not text.strip():
        return Spec(())
    return Spec(tuple(_term(part.strip(), text) for part in text.split("+")))


def parse_many(text: str) -> tuple[Spec, ...]:
    """Several readouts joined by commas (`cls,cls+mean@-2`), each once and in order, for one pass of the encoder."""
    _check_text(text)
    return tuple(dict.fromkeys(parse(part) for part in text.split(",")))


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise SpecError(f"a pooling is a text, 'cls' or several as 'cls,mean', not of type {type(text).__name__}.")


def _term(part: str, whole: str) -> Term:
    match = _TERM.fullmatch(part)
    if match is None:
        raise SpecError(f"the pooling {part!r} cannot be read; write NAME, NAME(ARGUMENT) or NAME@LAYER.")
    name, argument, layer = match["name"].strip(), match["argument"], match["layer"]
    if not name:
        raise SpecError(f"a name is missing in the pooling {whole!r}; write {_known()}.")
    row = about(name)
    if row is None:
        raise SpecError(_unknown(name))
    value = None if argument is None else _read(row, argument.strip())
    if layer is None:
        return Term(name, value)
    number = _LAYER.fullmatch(layer.strip())
    if number is None:
        raise SpecError(
            f"the layer @{layer.strip()} of {part!r} cannot be read; write @0 (the embeddings), @k (after block k), "
            "@-1 (the last block), and n behind it for the final norm, as in @6n."
        )
    return Term(name, value, int(number["number"]), bool(number["normed"]))


def _read(row: About, text: str) -> Argument:
    """An argument as it is written: a whole number, a number, or a word."""
    if not text:
        raise SpecError(f"the parentheses of {row.name}() are empty; leave them out, or write {_allowed(row)}.")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _checked(row: About, value: Argument | None) -> Argument | None:
    """The argument, or its default; 2.0 becomes 2, so that one value has one name."""
    if value is None:
        return row.default
    whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if row.argument in ("index", "count") and whole:
        number = int(value)
        if number >= (0 if row.argument == "index" else 1):
            return number
    if row.argument == "power":
        if value == "learned":
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0.1 <= value <= 100:
            return int(value) if whole else float(value)
    raise SpecError(f"{row.name}({_printed(value)}) cannot be read; {row.name} takes {_allowed(row)}.")


def _allowed(row: About) -> str:
    return row.takes or "nothing in parentheses"


def _printed(value: Argument | None) -> str:
    return value if isinstance(value, str) else repr(value)


def _known() -> str:
    *most, last = names()
    return f"{', '.join(most)} or {last}"


def _unknown(name: str) -> str:
    lower, rows = name.lower(), [row for row in map(about, names()) if row is not None]
    near = [row.name for row in rows if lower in row.elsewhere] or difflib.get_close_matches(lower, names(), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"there is no pooling {name!r}.{hint} There are {_known()}, or several joined by +."
