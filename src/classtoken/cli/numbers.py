"""Numbers of the command line, as all commands read them."""

from collections.abc import Callable
from typing import Any

import typer

from classtoken.plain import Limits

PORTS = Limits(ge=0, le=65535)


def number_of(kind: type[int] | type[float], limits: Limits | None) -> Callable[[str], Any]:
    """What reads a number of the command line. Raises `typer.BadParameter`: what it must be, and what it is."""

    def read(text: str) -> float:
        try:
            value: float | None = kind(text)
        except ValueError:
            value = None
        if value is None or (limits is not None and value not in limits):
            must = "a whole number" if kind is int else "a number"
            raise typer.BadParameter(f"must be {must}{f', {limits}' if limits else ''}, not {text!r}")
        return value

    return read


def port_option(about: str) -> Any:
    """`--port`, as each command that serves takes it."""
    return typer.Option("--port", parser=number_of(int, PORTS), min=PORTS.ge, max=PORTS.le, metavar="N", help=about)
