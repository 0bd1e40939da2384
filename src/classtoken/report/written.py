"""An explanation, findings or a comparison into a file, the kind told by its suffix."""

from pathlib import Path

from classtoken.destination import OutputFile
from classtoken.errors import OptionError, OutputError
from classtoken.report.compare import comparison_page
from classtoken.report.explain import explanation_page, panels
from classtoken.report.findings import findings_page
from classtoken.report.pair import pair_page
from classtoken.report.png import maps_png, words_png
from classtoken.results.compare import CompareResult
from classtoken.results.explain import Explanation
from classtoken.results.explain_data import Findings
from classtoken.results.explain_pair import PairExplanation

SUFFIXES = (".html", ".json", ".png")


def check_suffix(path: Path, allowed: tuple[str, ...] = SUFFIXES) -> None:
    """Raise before any work is done: `OptionError` for another suffix, `OutputError` for a folder that is not there."""
    if path.suffix.lower() not in allowed:
        ends = f"ends in '{path.suffix}'" if path.suffix else "does not say by its ending what it should be"
        raise OptionError(f"'{path.name}' {ends}; name a file that ends in {' or '.join(allowed)}.")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"there is no folder {path.absolute().parent}; make it first, or name another file.")


def write_explanation(found: Explanation, out: OutputFile) -> None:
    """Write one explanation. Raises `OptionError` for a PNG without any map."""
    suffix = out.path.suffix.lower()
    if suffix == ".png":
        out.write(_png(found))
    else:
        out.write(found.to_json() + "\n" if suffix == ".json" else explanation_page(found))


def write_findings(found: Findings, out: OutputFile) -> None:
    """Write findings over a data set as .html or .json."""
    out.write(found.to_json() + "\n" if out.path.suffix.lower() == ".json" else findings_page(found))


def write_pair(found: PairExplanation, out: OutputFile) -> None:
    """Write two inputs explained together as .html or .json."""
    out.write(found.to_json() + "\n" if out.path.suffix.lower() == ".json" else pair_page(found))


def write_comparison(found: CompareResult, out: OutputFile) -> None:
    """Write a comparison as .html, .json or .csv."""
    suffix = out.path.suffix.lower()
    if suffix == ".csv":
        out.write(found.to_csv())
    else:
        out.write(found.to_json() + "\n" if suffix == ".json" else comparison_page(found))


def _png(found: Explanation) -> bytes:
    drawn = panels(found)
    if not drawn:
        raise OptionError("there is no map to draw; name methods that this model allows, or write .html or .json.")
    heading = f"{found.item}: {found.target_label}"
    if found.grid:
        return maps_png(heading, drawn, found.grid, found.image)
    return words_png(heading, drawn, [found.tokens[i].text for i in found.content])
