"""What other installed packages add: families, poolings, sources, verbs, by Python's entry points.

A package that adds something names it in its own pyproject.toml; nothing here has to be changed, and worker processes
find it too:

    [project.entry-points."classtoken.poolings"]
    middle = "my_package.poolings:MIDDLE"
"""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from classtoken.errors import ExtensionError

Kind = TypeVar("Kind")


def extensions(group: str, kind: type[Kind]) -> tuple[Kind, ...]:
    """The values of one group (`families`, `poolings`), by name.

    Asked for only where nothing of this package fits, so that what is installed costs nothing otherwise. Raises
    `ExtensionError` for a value that cannot be loaded or is of another type.
    """
    return tuple(_loaded(group, lambda value: isinstance(value, kind), kind.__name__))


def extension_classes(group: str, base: type[Kind]) -> tuple[type[Kind], ...]:
    """The classes of one group (`sources`), by name; otherwise as `extensions`."""
    return tuple(_loaded(group, lambda value: isinstance(value, type) and issubclass(value, base), base.__name__))


def extension_names(group: str) -> tuple[str, ...]:
    """The names in one group (`verbs`), of which nothing is loaded."""
    return tuple(_points(group))


def extension_function(group: str, name: str) -> Callable[..., Any]:
    """The function of that name in one group; otherwise as `extensions`."""
    value: Callable[..., Any] = _value(group, _points(group)[name], callable, "a function")
    return value


def _points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=f"classtoken.{group}"), key=lambda p: p.name)}


def _loaded(group: str, fits: Callable[[Any], bool], wanted: str) -> Iterator[Any]:
    for point in _points(group).values():
        yield _value(group, point, fits, wanted)


def _value(group: str, point: EntryPoint, fits: Callable[[Any], bool], wanted: str) -> Any:
    which = f"the entry point '{point.name}' ({point.value}) of classtoken.{group}"
    try:
        value = point.load()
    except Exception as error:  # whatever the other package does while it is imported
        raise ExtensionError(
            f"{which} cannot be loaded ({type(error).__name__}: {error}). Repair or uninstall the package."
        ) from error
    if not fits(value):
        raise ExtensionError(
            f"{which} is of type {type(value).__name__}, not {wanted}. Repair or uninstall the package."
        )
    return value
