"""Candidates for the one vector, compared on somebody's own task."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from classtoken.comparison.compared import compared
from classtoken.destination import output_file
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.options import CompareOptions
from classtoken.report.written import check_suffix, write_comparison
from classtoken.results.compare import CompareResult, CompareTables, read_result, tables_of
from classtoken.values import Progress

SUFFIXES = (".html", ".json", ".csv")


def compare(
    model: Any,
    source: Any,
    out: str | Path | None,
    options: CompareOptions,
    *,
    report: Callable[[Progress], object] | None = None,
    tell: Callable[[str], object] | None = None,
) -> CompareResult:
    """Which vector is best for a task: see `classtoken.compare`."""
    models = _several(model)
    place = None
    if out is not None:
        check_suffix(user_path(out), SUFFIXES)
        names = [one.name if isinstance(one, Embedder) else str(one) for one in models]
        work = (names, source, {**vars(options), "overwrite": None})
        inputs = {"source": source, **{f"model {n}": one for n, one in enumerate(models)}}
        place = output_file(user_path(out), "compare", work, inputs=inputs, overwrite=options.overwrite)
    found = compared(models, source, options, report=report, tell=tell)
    if place is not None:
        write_comparison(found, place)
    return found


def read_comparisons(places: Sequence[str | Path]) -> CompareTables:
    """The .json files that `compare` wrote, folders of them among the places, as a table a protocol."""
    files: dict[str, CompareResult] = {}
    for place in map(Path, places):
        found = sorted(place.glob("*.json")) if place.is_dir() else [place]
        if not found:
            raise OptionError(f"'{place}' holds no .json file; give what compare wrote.")
        files |= {str(path): read_result(path) for path in found}
    return tables_of(files)


def _several(model: Any) -> Sequence[Any]:
    """One model, several, or none."""
    if model is None:
        return ()
    return list(model) if isinstance(model, list | tuple) else [model]
