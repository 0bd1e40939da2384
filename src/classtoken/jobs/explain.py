"""One input, from the picture of where the class token looked to the test whether it matters."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from classtoken.destination import output_file
from classtoken.embedder import Embedder, load, with_prompt
from classtoken.files import user_path
from classtoken.options import ExplainOptions
from classtoken.report.written import SUFFIXES, check_suffix, write_explanation
from classtoken.results.explain import Explanation
from classtoken.study.explanation import explained
from classtoken.study.inputs import check_one, modality_of


def explain(model: str | Path | Embedder, item: Any, out: str | Path | None, options: ExplainOptions) -> Explanation:
    """How the class token came to its vector on one input, and whether any of it matters: see `classtoken.explain`."""
    place = None
    if out is not None:
        check_suffix(user_path(out), SUFFIXES)
        work = (model.name if isinstance(model, Embedder) else model, item, {**vars(options), "overwrite": None})
        inputs = {"model": model, "input": item}
        place = output_file(user_path(out), "explain", work, inputs=inputs, overwrite=options.overwrite)
    embedder = load(model, device=options.device, revision=options.revision, accept=options.accept)
    side = modality_of(embedder, item, options.modality)
    for donor in options.donors:
        check_one(embedder, donor, side, options.modality)
    embedder, prompt = with_prompt(embedder, side, options.prompt, options.prompt_text)
    found = explained(embedder, item, replace(options, modality=side, prompt=prompt, prompt_text=None))
    if place is not None:
        write_explanation(found, place)
    return found
