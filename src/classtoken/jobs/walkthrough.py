"""`walkthrough`: an interactive page on how one vector is made, as one file, for a notebook, or served."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from classtoken.errors import OptionError
from classtoken.extras import need
from classtoken.options import WalkthroughOptions
from classtoken.page.document import VERSION, Walkthrough
from classtoken.page.export import notebook_html, write_page
from classtoken.results.walkthrough import WalkedInput, WalkthroughResult
from classtoken.source import open_source
from classtoken.walk.engine import Engine
from classtoken.walk.items import Item, is_image
from classtoken.walk.surveys import Survey, default_survey, surveyed

SURVEY_SMALL, SURVEY_LARGE = 40, 12
"""inputs of the default survey, for models below and above 2 million weights"""


def walkthrough(
    model: str | Path, items: Sequence[str], out: str | Path, options: WalkthroughOptions
) -> WalkthroughResult:
    """Write a walkthrough of `items` through a MODEL as one HTML file: see `classtoken.walkthrough`."""
    start = time.monotonic()
    engine = Engine(model, items, device=options.device, revision=options.revision)
    document = document_of(engine, data=options.data, limit=options.limit)
    size = write_page(document, Path(out))
    inputs = tuple(
        WalkedInput(e.id, e.title, len(e.tokens), e.answers.labels[0].text, float(e.answers.values[0]))
        for e in document.examples
    )
    name, layout = document.model.name, document.model.layout
    return WalkthroughResult(name, layout, Path(out), size, VERSION, inputs, time.monotonic() - start)


def document_of(engine: Engine, *, data: str | None = None, limit: int = 40) -> Walkthrough:
    """The whole walkthrough with its statistics."""
    survey = default_survey(engine.embedder, _survey_size(engine)) if data is None else _survey(engine, data, limit)
    return engine.document(surveyed(engine.embedder, engine.subject, survey))


class Page(str):
    """HTML that a notebook draws when it is the value of a cell."""

    def _repr_html_(self) -> str:
        return str(self)


def notebook(model: str | Path, items: Sequence[str] = (), *, height: int = 760) -> Page:
    """The same page as HTML for a notebook: `classtoken.jobs.walkthrough.notebook("builtin:scenes")` in a cell."""
    return Page(notebook_html(document_of(Engine(model, items)), height=height))


def serve_walkthrough(
    model: str | Path,
    items: Sequence[str],
    options: WalkthroughOptions,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    say: Callable[[str], None],
) -> None:
    """Serve the page to this machine until interrupted: with uploads, whole attention matrices and free what-if.

    host: a loopback address. port: 0 takes a free one. say: is told what happens, a sentence at a time; the address to
    open, with a key in it, once the examples have been walked through: nobody waits in front of an empty page.
    Raises the errors of `walkthrough`, and `MissingExtra` without the extra `serve`.
    """
    need("starlette", "serving the walkthrough")
    from classtoken.serve.local import address_of, bound, checked_host, new_key, serve
    from classtoken.serve.walkthrough import app_of

    sock, key = bound(checked_host(host), port), new_key()
    say("Walking through the examples first ...")
    engine = Engine(model, items, device=options.device, revision=options.revision)
    document = document_of(engine, data=options.data, limit=options.limit)

    def ready() -> None:
        say(f"Open {address_of(sock, key)}")
        say("The key in it lets in whoever has it. Stop with Ctrl+C.")

    serve(app_of(document, engine, key), sock, ready)


def _survey_size(engine: Engine) -> int:
    weights = sum(parameter.numel() for parameter in engine.embedder.encoder.parameters())
    return SURVEY_SMALL if weights < 2_000_000 else SURVEY_LARGE


def _survey(engine: Engine, data: str, limit: int) -> Survey:
    """The first records of a SOURCE as items."""
    items: list[Item] = []
    for record in open_source(data).records():
        content = record.image if is_image(engine.embedder) else record.text
        if content is None:
            kind = "pictures" if is_image(engine.embedder) else "texts"
            raise OptionError(f"`data` {data}: record '{record.id}' has none of the {kind} that this model reads.")
        label = "|".join(record.label) if isinstance(record.label, tuple) else record.label
        items.append(Item(record.id, record.id, content, label))
        if len(items) == limit:
            break
    return Survey(tuple(items), Path(data).name)
