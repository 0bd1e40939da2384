"""`walkthrough`: an interactive page on how one vector is made, as one file, for a notebook, or served."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from classtoken.activity import work
from classtoken.destination import output_file
from classtoken.embedder import ModelSpec, name_of
from classtoken.encoder.locate import builtin_names
from classtoken.errors import ClasstokenError
from classtoken.extras import need
from classtoken.files import user_path
from classtoken.model_folder import columns_learned_from
from classtoken.options import WalkthroughOptions
from classtoken.page.document import VERSION, Walkthrough
from classtoken.page.export import NotebookPage, check_page, notebook_page, write_page
from classtoken.results.walkthrough import WalkedInput, WalkthroughResult
from classtoken.source import open_source
from classtoken.walk.engine import Engine
from classtoken.walk.items import given_items
from classtoken.walk.surveys import default_survey, survey_of, surveyed

Opener = Callable[[], tuple[Walkthrough, Engine]]
"""loads a model and walks its examples through"""


def walkthrough(
    model: str | Path, items: Sequence[str], out: str | Path, options: WalkthroughOptions
) -> WalkthroughResult:
    """Write a walkthrough of `items` through a MODEL as one HTML file: see `classtoken.walkthrough`."""
    start, place, items = time.monotonic(), user_path(out), given_items(items)
    check_page(place)
    work = (model, items, options.data, options.limit, options.modality)
    read = {"model": model, "source": options.data, **{f"input {i + 1}": item for i, item in enumerate(items)}}
    page = output_file(place, "walkthrough", work, inputs=read, overwrite=options.overwrite)
    engine = engine_of(model, items, options)
    document = document_of(engine, options)
    size = write_page(document, page)
    inputs = tuple(
        WalkedInput(e.id, e.title, len(e.tokens), e.answers.labels[0].text, float(e.answers.values[0]), e.input.unread)
        for e in document.examples
    )
    name, layout = document.model.name, document.model.layout
    return WalkthroughResult(name, layout, place, size, VERSION, inputs, time.monotonic() - start)


def engine_of(model: str | Path, items: Sequence[str], options: WalkthroughOptions) -> Engine:
    """The loaded model with its items."""
    spec = ModelSpec(name_of(model), device=options.device, revision=options.revision, accept=options.accept)
    return Engine(spec, given_items(items), options.modality)


def document_of(engine: Engine, options: WalkthroughOptions) -> Walkthrough:
    """The whole walkthrough with its statistics: over a source, or over inputs that the package makes itself, where the
    model was made for such."""
    embedder, data = engine.embedder, options.data
    if data is None:
        survey = default_survey(embedder)
    else:
        survey = survey_of(embedder, open_source(data, remembered=columns_learned_from(embedder)), options.limit)
    with work(len(engine.given) + (survey is not None)):
        return engine.document(None if survey is None else surveyed(embedder, engine.subject, survey))


def notebook(model: str | Path, items: Sequence[str], height: int, options: WalkthroughOptions) -> NotebookPage:
    """The page of `walkthrough` as the value of a notebook's cell: see `classtoken.notebook`."""
    return notebook_page(document_of(engine_of(model, items, options), options), height=height)


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
    from classtoken.serve.local import address_of, bound, checked_host, new_key, run_app
    from classtoken.serve.walkthrough import app_of

    sock, key = bound(checked_host(host), port), new_key()
    say("Walking through the examples first ...")
    items = given_items(items)
    engine = engine_of(model, items, options)
    document = document_of(engine, options)

    def ready() -> None:
        say(f"Open {address_of(sock, key)}")
        say("The key in it lets in whoever has it. Stop with Ctrl+C.")

    run_app(app_of(document, engine, key, others=others_of(items, options)), sock, ready)


def others_of(items: Sequence[str], options: WalkthroughOptions) -> dict[str, Opener]:
    """The built-in models, to switch to: with the same items where they read such, else with their own examples."""
    plain = replace(options, data=None, modality=None, revision=None, accept=())

    def opener(name: str) -> Opener:
        def open_it() -> tuple[Walkthrough, Engine]:
            try:
                engine = engine_of(name, items, plain)
            except ClasstokenError:
                engine = engine_of(name, (), plain)
            return document_of(engine, plain), engine

        return open_it

    return {f"builtin:{name}": opener(f"builtin:{name}") for name in builtin_names()}
