"""One input, from the picture of where the class token looked to the test whether it matters."""

from pathlib import Path
from typing import Any

from classtoken.embedder import Embedder, load
from classtoken.options import ExplainOptions
from classtoken.report.written import SUFFIXES, check_suffix, write_explanation
from classtoken.results.explain import Explanation
from classtoken.study.explanation import explained


def explain(model: str | Path | Embedder, item: Any, out: str | Path | None, options: ExplainOptions) -> Explanation:
    """How the class token came to its vector on one input, and whether any of it matters: see `classtoken.explain`."""
    if out is not None:
        check_suffix(Path(out), SUFFIXES)
    embedder = (
        model
        if isinstance(model, Embedder)
        else load(model, device=options.device, revision=options.revision, accept=options.accept)
    )
    found = explained(embedder, item, options)
    if out is not None:
        write_explanation(found, Path(out))
    return found
