"""A module whose properties say what went wrong in them."""

from functools import cached_property
from typing import Any

from torch import nn

from classtoken.errors import InternalError


class PlainModule(nn.Module):
    """`nn.Module`, but an `AttributeError` inside a property is not reported as a missing property.

    Python turns to `__getattr__` when a property raises `AttributeError`, and torch's answers that there is no such
    attribute: the cause is lost. Here the property is asked again, and its own error is raised as `InternalError`.
    """

    def __getattr__(self, name: str) -> Any:
        written = getattr(type(self), name, None)
        getter = written.fget if isinstance(written, property) else getattr(written, "func", None)
        if getter is not None and isinstance(written, property | cached_property):
            try:
                return getter(self)
            except AttributeError as error:
                raise InternalError(f"{type(self).__name__}.{name} cannot be computed: {error}") from error
        return super().__getattr__(name)
