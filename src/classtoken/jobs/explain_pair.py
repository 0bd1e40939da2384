"""Two inputs, and which part of the one met which part of the other."""

from collections.abc import Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

from classtoken.destination import output_file
from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.options import ExplainPairOptions
from classtoken.report.written import SUFFIXES, check_suffix, write_pair
from classtoken.results.explain_pair import PairExplanation
from classtoken.study.pair import explained_pair


def explain_pair(
    model: str | Path | Embedder, items: Sequence[Any], out: str | Path | None, options: ExplainPairOptions
) -> PairExplanation:
    """Why the vectors of two inputs are like each other: see `classtoken.explain_pair`."""
    if isinstance(items, str | Path) or not isinstance(items, Sized) or len(items) != 2:
        raise OptionError("a pair is two inputs: give them as a list, [one, other].")
    item, other = items
    place = None
    if out is not None:
        check_suffix(user_path(out), SUFFIXES[:2])
        name = model.name if isinstance(model, Embedder) else model
        work = (name, item, other, {**vars(options), "overwrite": None})
        inputs = {"model": model, "input": item, "other input": other}
        place = output_file(user_path(out), "explain", work, inputs=inputs, overwrite=options.overwrite)
    embedder = load(model, device=options.device, revision=options.revision, accept=options.accept)
    found = explained_pair(embedder, item, other, replace(options, overwrite=False))
    if place is not None:
        write_pair(found, place)
    return found
