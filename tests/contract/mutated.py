"""Every key of a file changed, one by one: does the vector follow the reference, or is the key known or named?"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classtoken.contract.harmless import is_harmless
from classtoken.contract.unread import Part
from classtoken.errors import ClasstokenError

Keys = tuple[str | int, ...]
#: Another value where the same words are known to many files.
OTHER_WORDS: Mapping[str, str] = {"gelu": "relu", "relu": "gelu", "silu": "gelu", "quick_gelu": "gelu", "right": "left"}
#: How far numbers may be from the reference's, relative to the largest.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Seen:
    """What came of a folder: numbers, or a refusal in words; and the keys that were named as not understood."""

    numbers: np.ndarray | None = None
    refused: str = ""
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """A file of a folder whose keys are changed.

    `ours` opens the folder here; `theirs` in the library that the file is for, None where there is none to ask.
    """

    place: Path
    part: Part
    ours: Callable[[], Seen]
    theirs: Callable[[], np.ndarray] | None = None
    harmless: frozenset[str] = frozenset()
    """of the family, besides those of the table"""
    spared: Sequence[str] = ()
    """keys that are not tried"""


def keys_of(value: Any, at: Keys = ()) -> Iterator[Keys]:
    """The path of every value that is no object, and of every empty one."""
    inside: Any = ()
    if isinstance(value, dict) and value:
        inside = value.items()
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        inside = enumerate(value)
    for key, one in inside:
        yield from keys_of(one, (*at, key))
    if not inside and at:
        yield at


def other(value: Any, key: str | int = "") -> Any:
    """Another value of the same type."""
    if key in ("image_size", "local_attention"):  # one pixel more makes no patch, and half a token no window
        return [2 * one for one in value] if isinstance(value, list) else 2 * value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + 0.25
    if isinstance(value, str):
        return OTHER_WORDS.get(value, "another")
    if isinstance(value, list):
        return [other(one) for one in value] or [1]
    return {"another": 1} if isinstance(value, dict) else 1


def changed_at(value: Any, at: Keys) -> Any:
    """A copy with the value at this path changed."""
    copy = deepcopy(value)
    place = copy
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = other(place[at[-1]], at[-1])
    return copy


def name_of(at: Keys) -> str:
    """As keys are named elsewhere: without places in lists."""
    return ".".join(key for key in at if isinstance(key, str))


def passed_over(file: File, every: int = 1, first: int = 0) -> list[str]:
    """Keys whose change is neither followed, nor known to be harmless, nor refused or named; with what was seen.

    Every so many keys are tried, from the `first`; the file is as it was afterwards.
    """
    text = file.place.read_text(encoding="utf-8")
    pristine, before = json.loads(text), file.ours()
    assert before.numbers is not None, before.refused
    found = []
    try:
        for at in list(keys_of(pristine))[first::every]:
            if name_of(at) in file.spared or name_of(at).rsplit(".", 1)[-1] in file.spared:
                continue
            file.place.write_text(json.dumps(changed_at(pristine, at)), encoding="utf-8")
            wrong = _wrong(file, name_of(at), before.numbers)
            if wrong:
                found.append(f"{name_of(at)}: {wrong}")
    finally:
        file.place.write_text(text, encoding="utf-8")
    return found


def _wrong(file: File, key: str, before: np.ndarray) -> str:
    """What is wrong with how a changed key was taken; empty where nothing is."""
    seen = file.ours()
    if seen.numbers is None or any(key == one or one.startswith(key) or key.startswith(one) for one in seen.named):
        return ""
    try:
        wanted = None if file.theirs is None else file.theirs()
    except Exception:  # whatever a library says to a file that cannot be
        wanted = None
    if wanted is not None:
        apart = _apart(seen.numbers, wanted)
        return "" if apart <= TOLERANCE else f"{apart:.1e} from the reference"
    if _apart(seen.numbers, before) > 0 or is_harmless(key, file.part, file.harmless):
        return ""
    return "moves nothing, and is neither known to be harmless nor named"


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    apart = float(np.abs(one - other).max() / max(1.0, float(np.abs(other).max())))
    return apart if apart == apart else float("inf")


def seen(compute: Callable[[], tuple[np.ndarray, Sequence[str]]]) -> Seen:
    """What came of opening a folder; any other exception than a refusal goes on."""
    try:
        numbers, named = compute()
    except ClasstokenError as error:
        return Seen(refused=str(error))
    return Seen(numbers, named=tuple(named))
