"""One vector per image or text, from any transformer encoder: the right one, fast, and explained.

    import classtoken as ct

    print(ct.inspect("path/to/model"))            # which vectors it can give, and which one its authors meant
    vectors = ct.load("path/to/model").embed(["a text", "another"])

Names are imported when they are first used, so `import classtoken` is quick and loads no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: Public name -> the module that defines it; a module of its own name is public as a whole. One line per name.
_PLACES = {
    "Embedder": "classtoken.embedder",
    "SourceOptions": "classtoken.source",
    "Vectors": "classtoken.sink",
    "embed": "classtoken.jobs.embed",
    "errors": "classtoken.errors",
    "explain": "classtoken.jobs.explain",
    "explain_data": "classtoken.jobs.explain_data",
    "inspect": "classtoken.jobs.inspect",
    "load": "classtoken.embedder",
    "open_source": "classtoken.source",
    "predict": "classtoken.jobs.predict",
    "read": "classtoken.sink",
    "sklearn": "classtoken.sklearn",
    "train": "classtoken.jobs.train",
    "verify": "classtoken.sink",
    "walkthrough": "classtoken.jobs.walkthrough",
}

__all__ = sorted(["__version__", *_PLACES])


def __getattr__(name: str) -> Any:
    try:
        place = _PLACES[name]
    except KeyError:
        raise AttributeError(f"module 'classtoken' has no attribute {name!r}") from None
    module = import_module(place)
    value = module if place == f"classtoken.{name}" and not hasattr(module, name) else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
