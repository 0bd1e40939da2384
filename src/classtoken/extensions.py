"""What other installed packages add: families, poolings, sources, by Python's entry points.

A package that adds something names it in its own pyproject.toml; nothing here has to be changed, and worker processes
find it too:

    [project.entry-points."classtoken.poolings"]
    middle = "my_package.poolings:MIDDLE"
"""

from importlib.metadata import entry_points
from typing import Any, TypeVar

from classtoken.errors import ExtensionError

Kind = TypeVar("Kind")


def extensions(group: str, kind: type[Kind]) -> tuple[Kind, ...]:
    """The values of one group (`families`, ...), by name. Raises `ExtensionError` for one that is not what it must be.

    Asked for only where nothing of this package fits, so that what is installed costs nothing otherwise.
    """
    found: list[Any] = []
    for point in sorted(entry_points(group=f"classtoken.{group}"), key=lambda point: point.name):
        try:
            value = point.load()
        except Exception as error:  # whatever the other package does while it is imported
            raise ExtensionError(
                f"the entry point '{point.name}' ({point.value}) of classtoken.{group} cannot be loaded "
                f"({type(error).__name__}: {error}). Repair or uninstall the package that adds it."
            ) from error
        if not (isinstance(value, kind) or (isinstance(value, type) and issubclass(value, kind))):
            raise ExtensionError(
                f"the entry point '{point.name}' ({point.value}) of classtoken.{group} is of type "
                f"{type(value).__name__}, not {kind.__name__}. Repair or uninstall the package that adds it."
            )
        found.append(value)
    return tuple(found)
