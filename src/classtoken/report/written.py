"""An explanation or findings into a file, the kind told by its suffix: .html, .json or .png."""

from pathlib import Path

from classtoken.errors import OptionError, OutputError
from classtoken.files import whole_file, write_text
from classtoken.report.explain import explanation_page, panels
from classtoken.report.findings import findings_page
from classtoken.report.png import write_maps, write_words
from classtoken.results.base import write
from classtoken.results.explain import Explanation
from classtoken.results.explain_data import Findings

SUFFIXES = (".html", ".json", ".png")


def check_suffix(path: Path, allowed: tuple[str, ...] = SUFFIXES) -> None:
    """Raise before any work is done: `OptionError` for another suffix, `OutputError` for a folder that is not there."""
    if path.suffix.lower() not in allowed:
        raise OptionError(f"'{path.name}' ends in '{path.suffix}'; the output is one of {', '.join(allowed)}.")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"there is no folder {path.absolute().parent}; make it first, or name another file.")


def write_explanation(found: Explanation, path: Path) -> None:
    """Write one explanation. Raises what `check_suffix` raises, and `OptionError` for a PNG without any map."""
    check_suffix(path)
    if path.suffix == ".json":
        write(found, path)
    elif path.suffix == ".html":
        write_text(path, explanation_page(found))
    else:
        _png(found, path)


def write_findings(found: Findings, path: Path) -> None:
    """Write findings over a data set as .html or .json. Raises what `check_suffix` raises."""
    check_suffix(path, SUFFIXES[:2])
    if path.suffix == ".json":
        write(found, path)
    else:
        write_text(path, findings_page(found))


def _png(found: Explanation, path: Path) -> None:
    drawn = panels(found)
    if not drawn:
        raise OptionError("there is no map to draw; name methods that this model allows, or write .html or .json.")
    heading = f"{found.item}: {found.target_label}"
    with whole_file(path) as temporary:
        if found.grid:
            write_maps(temporary, heading, drawn, found.grid, found.image)
        else:
            write_words(temporary, heading, drawn, [found.tokens[i].text for i in found.content])
