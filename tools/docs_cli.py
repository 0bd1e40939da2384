"""Write docs/cli.md: the help of every command, as the command line prints it.

python tools/docs_cli.py            write it
python tools/docs_cli.py --check    exit code 1 when it is old
"""

import sys
from pathlib import Path
from typing import Any

import typer

from classtoken.cli import VERBS
from classtoken.cli.app import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
WIDTH = 100
HEAD = """# The command line

Written by `make docs` from the commands themselves. Every command takes `--json`, which prints one JSON object on
stdout and nothing else; progress and messages go to stderr. Exit codes: 0 done, 1 our fault, 2 the input, 130
interrupted.
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    top = typer.Context(group, info_name="classtoken", terminal_width=WIDTH, max_content_width=WIDTH)
    parts = [HEAD, _block(group.get_help(top))]
    for verb in VERBS:
        command = group.get_command(top, verb)
        context = typer.Context(command, info_name=verb, parent=top, terminal_width=WIDTH, max_content_width=WIDTH)
        parts += [f"## classtoken {verb}\n", _block(command.get_help(context))]
    return "\n".join(parts)


def _block(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"```text\n{lines}\n```\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        raise SystemExit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
