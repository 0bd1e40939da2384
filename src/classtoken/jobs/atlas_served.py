"""The atlas of a folder, served to this machine: its search box finds by meaning, among all rows of the folder."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from classtoken.extras import need
from classtoken.jobs.atlas import drawn
from classtoken.jobs.serve import service
from classtoken.nearest.searcher import Searcher
from classtoken.options import AtlasOptions, SearchOptions, ServeOptions
from classtoken.page.atlas import AtlasPage, atlas_html
from classtoken.values import Progress


def serve_atlas(
    folder: str | Path,
    options: AtlasOptions,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    say: Callable[[str], None],
    showing: AbstractContextManager[Callable[[Progress], object]],
) -> None:
    """Serve the page until interrupted, with the model that made the folder for what is typed.

    host: a loopback address. port: 0 takes a free one. say: is told the address. showing: within it
    somebody sees how far the drawing is. Raises what `atlas` and `service` do,
    and `MissingExtra` without the extra `serve`.
    """
    need("uvicorn", "serving the atlas")
    from classtoken.serve.batching import apart
    from classtoken.serve.local import LOCAL_HOSTS, bound, checked_host, run_app

    sock = bound(checked_host(host, "the atlas is served"), port)

    def prepared() -> tuple[Searcher, AtlasPage]:
        searcher = Searcher(folder, options=SearchOptions(column=options.column))
        say(f"Loading {searcher.embedder.name} ...")
        with showing as report:
            return searcher, drawn(searcher.vectors, options, report=report)[0]

    searcher, page = apart(prepared)
    say(page.lead)
    app = service([], ServeOptions(), searchers={"vectors": searcher}, page=atlas_html(page, search="v1/search"))

    def ready() -> None:
        shown, taken = sock.getsockname()[:2]
        say(f"Open http://{f'[{shown}]' if ':' in shown else shown}:{taken}/ . Stop with Ctrl+C.")

    run_app(app, sock, ready, hosts=LOCAL_HOSTS)
