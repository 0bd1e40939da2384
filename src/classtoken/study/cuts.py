"""What is to be taken away, in the words of the command line: `tokens:p3,p5-p9`, `edges:class>p3@4-6`, `heads:2.1`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from classtoken.errors import OptionError
from classtoken.values import Role

KINDS = {
    "tokens": "nobody reads them, they read on",
    "edges": "READERS>READ: the first do not read the second",
    "heads": "LAYER.HEAD: what they add to the states",
    "attention": "what the attention of these layers adds",
    "feedforward": "what the feed-forward of these layers adds",
    "layers": "both",
    "removed": "these tokens are not in the sequence",
}
ROLES = {role.name.lower(): role for role in Role if role not in (Role.PAD, Role.CONTENT)} | {"content": Role.CONTENT}
NUMBERS = re.compile(r"(p?)(\d+)(?:-p?(\d+))?")


@dataclass(frozen=True)
class Cut:
    """One thing to take away. `what` says it in words; layers: all where None; readers: everybody where None.

    heads: those that are cut, as (layer, head); of edges, the heads (of one layer) in which they are cut, all if empty.
    """

    kind: str
    what: str
    keys: tuple[int, ...] = ()
    readers: tuple[int, ...] | None = None
    heads: tuple[tuple[int, int], ...] = ()
    layers: tuple[int, ...] | None = None


def parse_cut(text: str, roles: Sequence[Role], depth: int, heads: int) -> Cut:
    """A cut of an input whose tokens have `roles`. Raises `OptionError` for one that is not there.

    Tokens are numbers (places in the sequence from 0), p and a number (patches or word pieces from 0), ranges of either
    (p5-p9) or a role in small letters; `@2-5` limits tokens and edges to some layers.
    """
    kind, _, rest = text.partition(":")
    body, _, limit = rest.partition("@")
    if kind not in KINDS or not body or (limit and kind not in ("tokens", "edges")):
        raise OptionError(
            f"'{text}' is no cut; write tokens:p3,p5-p9, edges:class>p3, heads:2.1, attention:3, feedforward:3, "
            "layers:3 or removed:p4; tokens and edges take layers, as in tokens:p3@2-5."
        )
    layers = _numbers(limit, text, depth, "layer") if limit else None
    if kind in ("tokens", "removed"):
        return Cut(kind, text, places(body, text, roles), layers=layers)
    if kind == "edges":
        readers, found, keys = body.partition(">")
        if not found:
            raise OptionError(f"'{text}' names no edges; write readers > read, as in edges:class>p3,p5.")
        return Cut(kind, text, places(keys, text, roles), places(readers, text, roles), layers=layers)
    if kind == "heads":
        return Cut(kind, text, heads=_heads(body, text, depth, heads))
    return Cut(kind, text, layers=_numbers(body, text, depth, "layer"))


def places(words: str, text: str, roles: Sequence[Role]) -> tuple[int, ...]:
    """Places of the tokens that are named, in order, each once."""
    content = [i for i, role in enumerate(roles) if role == Role.CONTENT]
    found: list[int] = []
    for word in (w.strip() for w in words.split(",")):
        if word in ROLES:
            here = [i for i, role in enumerate(roles) if role == ROLES[word]]
            if not here:
                raise OptionError(f"'{text}': this input has no token of the role {word}.")
            found += here
            continue
        match = NUMBERS.fullmatch(word)
        if match is None:
            names = ", ".join(ROLES)
            raise OptionError(f"'{text}': '{word}' is no token; write a number, p and a number, a range, or {names}.")
        there = content if match[1] else list(range(len(roles)))
        last = int(match[3] or match[2])
        if last >= len(there):
            raise OptionError(f"'{text}': there is no token {match[1]}{last}; the last is {match[1]}{len(there) - 1}.")
        found += there[int(match[2]) : last + 1]
    return tuple(dict.fromkeys(found))


def _numbers(words: str, text: str, count: int, what: str) -> tuple[int, ...]:
    found: list[int] = []
    for word in (w.strip() for w in words.split(",")):
        match = NUMBERS.fullmatch(word)
        if match is None or match[1] or int(match[3] or match[2]) >= count:
            raise OptionError(f"'{text}': there is no {what} '{word}'; {what}s are 0 to {count - 1}.")
        found += range(int(match[2]), int(match[3] or match[2]) + 1)
    return tuple(dict.fromkeys(found))


def _heads(words: str, text: str, depth: int, heads: int) -> tuple[tuple[int, int], ...]:
    found = []
    for word in (w.strip() for w in words.split(",")):
        layer, dot, head = word.partition(".")
        if not (dot and layer.isdecimal() and head.isdecimal() and int(layer) < depth and int(head) < heads):
            raise OptionError(
                f"'{text}': there is no head '{word}'; write layer.head: layers 0 to {depth - 1}, heads 0 to "
                f"{heads - 1}."
            )
        found.append((int(layer), int(head)))
    return tuple(dict.fromkeys(found))
