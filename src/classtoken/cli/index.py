"""`classtoken index DIR`."""

from classtoken.cli.operands import Folder
from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import IndexOptions


def index(folder: Folder, options: IndexOptions) -> Answer:
    """Make an approximate index of a folder of vectors that keeps a recall, for folders too large for exact search.

    Settings are found by measuring against exact search on rows of the folder; the recall is measured on others and
    said with its interval. The index is a cache in DIR/_meta/index: where it is gone, damaged or older than the
    vectors, exact search answers. Needs the extra `lance`.

    \b
    Example:
        classtoken index vectors --recall 0.98
    """
    with progress("indexing") as report:
        from classtoken.jobs.index import index as job

        return Answer(job(folder, options, report=report))
