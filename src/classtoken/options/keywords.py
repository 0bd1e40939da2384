"""Functions that, called with a keyword that they do not have, say which one was meant."""

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from classtoken.options.base import own_fields
from classtoken.options.shared import SourceOptions

Function = TypeVar("Function", bound=Callable[..., Any])


def with_hints(function: Function) -> Function:
    """The same function, whose `TypeError` for an unknown keyword names the one that is nearly called so, or else the
    options value that has it."""
    known = [name for name, p in inspect.signature(function).parameters.items() if p.kind != p.VAR_KEYWORD]

    @functools.wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        strange = next((name for name in named if name not in known), None)
        if strange is not None:
            raise TypeError(f"{function.__name__}() has no keyword '{strange}'{_hint(strange, known)}")
        return function(*args, **named)

    return cast(Function, called)


def _hint(strange: str, known: list[str]) -> str:
    near = get_close_matches(strange, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    of_sources = [field.name for field in own_fields(SourceOptions)]
    if "source_options" in known and strange in of_sources:
        return f"; it is one of source_options=ct.SourceOptions({strange}=...)"
    return f"; it has {', '.join(known)}"
