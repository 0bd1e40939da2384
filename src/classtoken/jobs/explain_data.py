"""Many inputs: what holds with intervals, and what holds for random weights as well."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError
from classtoken.options import ExplainDataOptions
from classtoken.report.written import SUFFIXES, check_suffix, write_findings
from classtoken.results.explain_data import Findings
from classtoken.source import Source, open_source
from classtoken.study.findings import findings
from classtoken.values import Progress, Rejected


def explain_data(
    model: str | Path | Embedder,
    source: str | Path | Source,
    out: str | Path | None,
    options: ExplainDataOptions,
    *,
    report: Callable[[Progress], object] | None = None,
) -> Findings:
    """Findings over a SOURCE, beside those of random weights: see `classtoken.explain_data`."""
    if out is not None:
        check_suffix(Path(out), SUFFIXES[:2])
    embedder = (
        model
        if isinstance(model, Embedder)
        else load(model, device=options.device, revision=options.revision, accept=options.accept)
    )
    opened = open_source(source, options.source_options)
    unread: list[Rejected] = []
    records = list(opened.records(unread, limit=options.limit))
    if len(records) < 2:
        raise OptionError(f"findings need at least two inputs; '{opened.name}' gave {len(records)}.")
    options = replace(options, modality=embedder.modality_of(records[0], options.modality, source=opened.name))
    found = findings(embedder, Path(opened.name).name, records, options, unread=len(unread), report=report)
    if out is not None:
        write_findings(found, Path(out))
    return found
