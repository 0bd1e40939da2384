"""Many inputs: what holds with intervals, and what holds for random weights as well."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from classtoken.destination import output_file
from classtoken.embedder import Embedder, load, with_prompt
from classtoken.errors import OptionError
from classtoken.files import last_part, user_path
from classtoken.model_folder import columns_learned_from
from classtoken.options import ExplainDataOptions
from classtoken.report.written import SUFFIXES, check_suffix, write_findings
from classtoken.results.base import counted
from classtoken.results.explain_data import Findings
from classtoken.source import Source, open_source
from classtoken.study.findings import different, findings
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
    place = None
    if out is not None:
        check_suffix(user_path(out), SUFFIXES[:2])
        work = (model.name if isinstance(model, Embedder) else model, source, {**vars(options), "overwrite": None})
        inputs = {"model": model, "source": source}
        place = output_file(user_path(out), "explain", work, inputs=inputs, overwrite=options.overwrite)
    embedder = load(model, device=options.device, revision=options.revision, accept=options.accept)
    opened = open_source(source, options.source_options, columns_learned_from(model))
    unread: list[Rejected] = []
    records, copies = different(list(opened.records(unread, limit=options.limit)))
    if len(records) < 2:
        more = f", and {copies} more that hold the same" if copies else ""
        raise OptionError(f"findings need at least two inputs; '{opened.name}' gave {len(records)}{more}.")
    side = embedder.modality_of(records[0], options.modality, source=opened.name)
    embedder, prompt = with_prompt(embedder, side, options.prompt, options.prompt_text)
    options = replace(options, modality=side, prompt=prompt, prompt_text=None)
    found = findings(embedder, last_part(opened.name), records, options, unread=len(unread), report=report)
    held = (f"{counted(copies, 'record')} held what an earlier one holds; left out",) if copies else ()
    found = replace(found, notes=(*held, *opened.notes, *found.notes))
    if place is not None:
        write_findings(found, place)
    return found
