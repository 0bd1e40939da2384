"""The command line: one verb per file, imported when it is called.

`VERBS` names them. `cli/<verb>.py` defines a function of the verb's name (a dash becomes `_`) with typer annotations;
its docstring is the manual page and ends with an example. The function returns an `Answer`, the only thing that is
written on stdout; progress and messages go to stderr. `cli.main` turns errors into one line and an exit code.
"""

from collections.abc import Sequence

#: Every verb, in the order in which the help lists them.
VERBS: tuple[str, ...] = (
    "inspect",
    "embed",
    "verify",
    "search",
    "index",
    "compare",
    "duplicates",
    "outliers",
    "atlas",
    "train",
    "predict",
    "explain",
    "walkthrough",
    "serve",
    "export",
)

#: The exit code of Ctrl-C, and what is said of one that comes before any verb has begun.
INTERRUPTED = 130
STOPPED_EARLY = "classtoken: stopped. Nothing was written."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 1 our fault, 2 the user's input, 130 interrupted."""
    from classtoken.cli.app import run

    return run(arguments)
