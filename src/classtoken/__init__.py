"""One vector per image or text, from any transformer encoder: the right one, fast, and explained.

    import classtoken as ct

    print(ct.inspect("path/to/model"))            # which vectors it can give, and which one its authors meant
    vectors = ct.load("path/to/model").embed(["a text", "another"])

    load, inspect                    a checkpoint, and which vector it really gives
    embed, read, verify              a data set as a folder of vectors; opened; held against what was meant
    search, index                    what is most like a text, a picture or a row
    duplicates, outliers, atlas      what is there twice, odd rows, all of it on one page
    compare                          which vector is best for a task, and how sure that is
    train, predict                   a classifier, an encoder's vectors, an encoder; and what it says
    explain, walkthrough             how the class token came to its vector
    export                           a model or a folder of vectors for other software

Each is a function with its own help: `help(ct.embed)`. The command `classtoken` has the same verbs, and `serve`.

Names are imported when they are first used, so `import classtoken` is quick and loads no torch.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from classtoken.version import __version__ as __version__

if os.name != "posix":  # said here and in one line: a folder's locks and renames are those of POSIX
    raise ImportError("classtoken runs on Linux and macOS. On Windows, install it within WSL, where everything works.")

if TYPE_CHECKING:
    from classtoken import errors as errors
    from classtoken import mteb as mteb
    from classtoken import sklearn as sklearn
    from classtoken.embedder import Embedder as Embedder
    from classtoken.embedder import ModelSpec as ModelSpec
    from classtoken.embedder import load as load
    from classtoken.learning.recipe import Recipe as Recipe
    from classtoken.nearest.searcher import Searcher as Searcher
    from classtoken.options import AtlasOptions as AtlasOptions
    from classtoken.options import CompareOptions as CompareOptions
    from classtoken.options import DuplicatesOptions as DuplicatesOptions
    from classtoken.options import EmbedOptions as EmbedOptions
    from classtoken.options import ExplainDataOptions as ExplainDataOptions
    from classtoken.options import ExplainOptions as ExplainOptions
    from classtoken.options import ExplainPairOptions as ExplainPairOptions
    from classtoken.options import ExportOptions as ExportOptions
    from classtoken.options import IndexOptions as IndexOptions
    from classtoken.options import InspectOptions as InspectOptions
    from classtoken.options import OutliersOptions as OutliersOptions
    from classtoken.options import PredictOptions as PredictOptions
    from classtoken.options import SearchOptions as SearchOptions
    from classtoken.options import ServeOptions as ServeOptions
    from classtoken.options import SourceOptions as SourceOptions
    from classtoken.options import TrainOptions as TrainOptions
    from classtoken.options import VerifyOptions as VerifyOptions
    from classtoken.options import WalkthroughOptions as WalkthroughOptions
    from classtoken.sink import Vectors as Vectors
    from classtoken.sink import read as read
    from classtoken.source import open_source as open_source
    from classtoken.verbs import atlas as atlas
    from classtoken.verbs import compare as compare
    from classtoken.verbs import duplicates as duplicates
    from classtoken.verbs import embed as embed
    from classtoken.verbs import explain as explain
    from classtoken.verbs import explain_data as explain_data
    from classtoken.verbs import explain_pair as explain_pair
    from classtoken.verbs import export as export
    from classtoken.verbs import index as index
    from classtoken.verbs import inspect as inspect
    from classtoken.verbs import notebook as notebook
    from classtoken.verbs import outliers as outliers
    from classtoken.verbs import predict as predict
    from classtoken.verbs import search as search
    from classtoken.verbs import service as service
    from classtoken.verbs import train as train
    from classtoken.verbs import verify as verify
    from classtoken.verbs import walkthrough as walkthrough

#: Public name -> the module that defines it; a module of its own name is public as a whole. One line per name.
_PLACES = {
    "AtlasOptions": "classtoken.options",
    "CompareOptions": "classtoken.options",
    "DuplicatesOptions": "classtoken.options",
    "EmbedOptions": "classtoken.options",
    "Embedder": "classtoken.embedder",
    "ExplainDataOptions": "classtoken.options",
    "ExplainOptions": "classtoken.options",
    "ExplainPairOptions": "classtoken.options",
    "ExportOptions": "classtoken.options",
    "IndexOptions": "classtoken.options",
    "InspectOptions": "classtoken.options",
    "ModelSpec": "classtoken.embedder",
    "OutliersOptions": "classtoken.options",
    "PredictOptions": "classtoken.options",
    "Recipe": "classtoken.learning.recipe",
    "SearchOptions": "classtoken.options",
    "Searcher": "classtoken.nearest.searcher",
    "ServeOptions": "classtoken.options",
    "SourceOptions": "classtoken.options",
    "TrainOptions": "classtoken.options",
    "Vectors": "classtoken.sink",
    "VerifyOptions": "classtoken.options",
    "WalkthroughOptions": "classtoken.options",
    "atlas": "classtoken.verbs",
    "compare": "classtoken.verbs",
    "duplicates": "classtoken.verbs",
    "embed": "classtoken.verbs",
    "errors": "classtoken.errors",
    "explain": "classtoken.verbs",
    "explain_data": "classtoken.verbs",
    "explain_pair": "classtoken.verbs",
    "export": "classtoken.verbs",
    "index": "classtoken.verbs",
    "inspect": "classtoken.verbs",
    "load": "classtoken.embedder",
    "mteb": "classtoken.mteb",
    "notebook": "classtoken.verbs",
    "open_source": "classtoken.source",
    "outliers": "classtoken.verbs",
    "predict": "classtoken.verbs",
    "read": "classtoken.sink",
    "search": "classtoken.verbs",
    "service": "classtoken.verbs",
    "sklearn": "classtoken.sklearn",
    "train": "classtoken.verbs",
    "verify": "classtoken.verbs",
    "walkthrough": "classtoken.verbs",
}

__all__ = sorted(["__version__", *_PLACES])


if not TYPE_CHECKING:  # a type checker would take every name for one of these

    def __getattr__(name: str) -> Any:
        try:
            place = _PLACES[name]
        except KeyError:
            from difflib import get_close_matches  # not a name of this module's

            near = get_close_matches(name, _PLACES, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            if name[:1].isupper() and hasattr(import_module("classtoken.errors"), name):
                hint = f"; it is ct.errors.{name}"
            raise AttributeError(f"module 'classtoken' has no attribute {name!r}{hint}") from None
        module = import_module(place)
        value = module if place == f"classtoken.{name}" and not hasattr(module, name) else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return list(__all__)
