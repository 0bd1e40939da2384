"""Conditions on the columns beside the vectors: `price < 20 and label = 'shirt'`.

    condition  := any of: a and b, a or b, not a, (a)
    comparison := NAME = 3, != <> < <= > >= ; NAME in ('a', 'b'), NAME not in (...); NAME between 1 and 5;
                  NAME like 'sh%' (% any text, _ any sign); NAME is null, NAME is not null

Texts that are numbers, as every column of a CSV file holds, are compared with a number as numbers, and dates and times
with a text in ISO 8601. Names of columns as they are, or in double quotes; texts in single quotes (a quote in one is
doubled); numbers; true and false. As in SQL, a comparison with an empty value is neither true nor false, and such a row
is left out. A condition is parsed here and computed by Arrow: nothing of it is ever run as code.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from classtoken.errors import OptionError

TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|'(?P<text>(?:[^']|'')*)'"
    r'|"(?P<quoted>(?:[^"]|"")+)"'
    r"|(?P<sign><=|>=|<>|!=|==|=|<|>|\(|\)|,)"
    r"|(?P<name>[^\W\d]\w*))"
)
SIGNS = {"=": "equal", "==": "equal", "!=": "not_equal", "<>": "not_equal"} | {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
WORDS = ("and", "or", "not", "in", "between", "like", "is", "null", "true", "false")
Test = Callable[[pa.Table], pa.Array]
DEEPEST = 100
"""parentheses and `not` inside each other"""


@dataclass(frozen=True)
class Condition:
    """A condition that was read: which columns it needs, and which rows of a table it holds for."""

    text: str
    columns: tuple[str, ...]
    test: Test

    def holds(self, table: pa.Table) -> np.ndarray:
        """(rows,) of true and false. Raises `OptionError` for a comparison that a column's type does not allow."""
        found = pc.fill_null(self.test(table), False)
        whole = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
        return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=bool)


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    begin: int


def parse(text: str, columns: Sequence[str], called: Mapping[str, str] = MappingProxyType({})) -> Condition:
    """Read a condition on some of these columns; `called` are the names that the source gave to some of them (column ->
    its name there), by which they go too. Raises `OptionError` saying where it cannot be read."""
    parser = _Parser(text, columns, called)
    test = parser.either()
    parser.expect_end()
    return Condition(text, tuple(dict.fromkeys(parser.used)), test)


class _Parser:
    """Recursive descent, a method per precedence: or, and, not, comparison."""

    def __init__(self, text: str, columns: Sequence[str], called: Mapping[str, str]):
        self.text, self.columns = text, tuple(columns)
        self.others = {name: part for part, name in called.items() if part in columns and name not in columns}
        self.tokens = list(_tokens(text))
        self.at = 0
        self.depth = 0
        self.used: list[str] = []

    def either(self) -> Test:
        """a or b or c"""
        tests = [self.both()]
        while self.take_word("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda table: _joined(pc.or_kleene, tests, table)

    def both(self) -> Test:
        """a and b and c"""
        tests = [self.negated()]
        while self.take_word("and"):
            tests.append(self.negated())
        return tests[0] if len(tests) == 1 else lambda table: _joined(pc.and_kleene, tests, table)

    def negated(self) -> Test:
        """not a, or (a), or a comparison"""
        self.depth += 1
        if self.depth > DEEPEST:
            raise OptionError(f"`where` has more than {DEEPEST} parentheses inside each other; write it flatter.")
        try:
            if self.take_word("not"):
                inner = self.negated()
                return lambda table: pc.invert(inner(table))
            if self.take_sign("("):
                found = self.either()
                self.need_sign(")")
                return found
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Test:
        """NAME and what is said of it"""
        name = self.column()
        if self.take_word("is"):
            negative = self.take_word("not")
            self.need_word("null")
            return lambda table: (pc.is_valid if negative else pc.is_null)(table.column(name))
        negative = self.take_word("not")
        found = self.membership(name)
        if found is None:
            if negative:
                raise self.wrong("in, between or like after 'not'")
            return self.order(name)
        return (lambda table: pc.invert(found(table))) if negative else found

    def membership(self, name: str) -> Test | None:
        """in (...), between a and b, like '...'"""
        if self.take_word("in"):
            self.need_sign("(")
            values = [self.value()]
            while self.take_sign(","):
                values.append(self.value())
            self.need_sign(")")
            tests = [self.compared(name, "equal", value) for value in values]
            return lambda table: _joined(pc.or_kleene, tests, table)
        if self.take_word("between"):
            low = self.compared(name, "greater_equal", self.value())
            self.need_word("and")
            high = self.compared(name, "less_equal", self.value())
            return lambda table: pc.and_kleene(low(table), high(table))
        if self.take_word("like"):
            return self.compared(name, "match_like", self.value())
        return None

    def order(self, name: str) -> Test:
        """= != < <= > >="""
        token = self.next()
        if token is None or token.kind != "sign" or token.value not in SIGNS:
            raise self.wrong("=, !=, <, <=, >, >=, in, between, like or is", token)
        return self.compared(name, SIGNS[token.value], self.value())

    def compared(self, name: str, kernel: str, value: Any) -> Test:
        """One comparison of a column with a value, its type looked at when there is a table."""

        def test(table: pa.Table) -> pa.Array:
            column = table.column(name)
            try:
                if kernel == "match_like":
                    return pc.match_like(column, value)
                return getattr(pc, kernel)(*_alike(column, value))
            except (pa.ArrowException, TypeError) as error:
                raise OptionError(
                    f"`where`: the column '{name}' holds {column.type}{_why(column.type, value)}, which cannot be "
                    f"compared with {value!r}; texts stand in single quotes, numbers do not"
                    f"{', dates as 2024-01-31' if pa.types.is_temporal(column.type) else ''}."
                ) from error

        return test

    def column(self) -> str:
        """The name of a column that there is."""
        token = self.next()
        if token is None or token.kind not in ("name", "quoted") or _is_word(token):
            raise self.wrong("the name of a column", token)
        name = self.others.get(token.value, token.value)
        if name not in self.columns:
            known = [*self.columns, *self.others]
            named = [one + (f" (your '{self._theirs(one)}')" if self._theirs(one) else "") for one in self.columns]
            alike = {one.casefold(): one for one in known}
            near = get_close_matches(name.casefold(), alike, n=1)
            hint = f" Did you mean '{alike[near[0]]}'?" if near else ""
            raise OptionError(f"`where`: there is no column '{name}'; there are {', '.join(named)}.{hint}")
        self.used.append(name)
        return name

    def _theirs(self, name: str) -> str | None:
        """What the source calls one of the columns, where that is another name."""
        return next((theirs for theirs, ours in self.others.items() if ours == name), None)

    def value(self) -> Any:
        """A number, a text, true or false."""
        token = self.next()
        if token is not None and token.kind == "text":
            return token.value
        if token is not None and token.kind == "number":
            return int(token.value) if re.fullmatch(r"[-+]?\d{1,30}", token.value) else float(token.value)
        if token is not None and token.kind == "name" and token.value.lower() in ("true", "false"):
            return token.value.lower() == "true"
        raise self.wrong("a number, a text in single quotes, true or false", token)

    def next(self) -> _Token | None:
        """The next token, taken."""
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        self.at += 1
        return token

    def take_word(self, word: str) -> bool:
        """Whether the next token is this word, which is taken then."""
        return self._take(lambda token: _is_word(token) and token.value.lower() == word)

    def take_sign(self, sign: str) -> bool:
        """Whether the next token is this sign, which is taken then."""
        return self._take(lambda token: token.kind == "sign" and token.value == sign)

    def _take(self, fits: Callable[[_Token], bool]) -> bool:
        there = self.at < len(self.tokens) and fits(self.tokens[self.at])
        self.at += there
        return there

    def need_word(self, word: str) -> None:
        """Take this word. Raises `OptionError`."""
        if not self.take_word(word):
            raise self.wrong(f"'{word}'", self.next())

    def need_sign(self, sign: str) -> None:
        """Take this sign. Raises `OptionError`."""
        if not self.take_sign(sign):
            raise self.wrong(f"'{sign}'", self.next())

    def expect_end(self) -> None:
        """Raise `OptionError` where anything is left."""
        if self.at < len(self.tokens):
            raise self.wrong("'and', 'or' or the end", self.next())

    def wrong(self, wanted: str, token: _Token | None = None) -> OptionError:
        """What stands where, and what was expected there."""
        there = "it ends" if token is None else f"'{self.text[token.begin :][:20]}' stands"
        return OptionError(f"`where` cannot be read: {there} where {wanted} should be, in {self.text!r}.")


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = TOKEN.match(text, at)
        if found is None:
            raise OptionError(f"`where` cannot be read at '{text[at:].strip()[:20]}', in {text!r}.")
        kind = str(found.lastgroup)
        value = found[kind]
        if kind in ("text", "quoted"):
            mark = "'" if kind == "text" else '"'
            value = value.replace(mark * 2, mark)
        yield _Token(kind, value, found.start(kind) - (kind in ("text", "quoted")))
        at = found.end()


def _alike(column: pa.ChunkedArray, value: Any) -> tuple[pa.ChunkedArray, pa.Scalar]:
    """A column and a value as Arrow compares them. Raises `pa.ArrowException` for what cannot be brought together."""
    kind, number = column.type, isinstance(value, int | float) and not isinstance(value, bool)
    if number and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        column = _numbers(column)
        kind = column.type
    if number and isinstance(value, int) and not -(2**63) <= value < 2**63:
        if pa.types.is_integer(kind):
            # exactly: as floating numbers the largest that 64 bits hold would be equal to the next one
            return column.cast(pa.decimal128(20)), pa.scalar(Decimal(value)).cast(pa.decimal128(38))
        value = float(value)
    if isinstance(value, float) and pa.types.is_integer(kind):
        return column.cast(pa.float64(), safe=False), pa.scalar(value)
    if isinstance(value, str) and pa.types.is_temporal(kind):
        return column, _moment(value, kind)
    return column, pa.scalar(value)


def _numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as the numbers that they are; nothing where there is no text."""
    trimmed = pc.utf8_trim_whitespace(texts)
    there = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, texts.type), trimmed)
    try:
        return there.cast(pa.int64())
    except pa.ArrowInvalid:
        return there.cast(pa.float64())


def _moment(text: str, kind: pa.DataType) -> pa.Scalar:
    """A date or a time of a column's type; where that has a zone and the text has none, in the column's."""
    zone = kind.tz if pa.types.is_timestamp(kind) else None
    try:
        return pa.scalar(text).cast(kind)
    except pa.ArrowInvalid:
        if zone is None:
            raise
        return pc.assume_timezone(pa.scalar(text).cast(pa.timestamp(kind.unit)), zone)


def _why(kind: pa.DataType, value: Any) -> str:
    """What a comparison of texts with a number lacks."""
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return ", and not only numbers" if texts and not isinstance(value, str | bool) else ""


def _is_word(token: _Token) -> bool:
    return token.kind == "name" and token.value.lower() in WORDS


def _joined(kernel: Callable[..., Any], tests: Sequence[Test], table: pa.Table) -> pa.Array:
    found = tests[0](table)
    for test in tests[1:]:
        found = kernel(found, test(table))
    return found
