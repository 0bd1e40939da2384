"""docs/cli.md: what all commands share; what each of them takes stands on its own page (docs_options.py)."""

from typing import Any

import typer
from generated import DOCS, finish, notice, table

from classtoken.cli import VERBS
from classtoken.cli.app import app

WIDTH = 100
PAGES = {"index": "indexing"}
"""pages that are called otherwise than their verb: index.md is the contents"""
TEXT = """# The command line

`classtoken VERB --help` says what a command takes; so does its page here, beside what the same is called in Python.

{verbs}

- Every command takes `--json`: one JSON object on stdout and nothing else, its keys are [on a page](json.md). Progress
  and messages go to stderr. An error is an object too, beside the line on stderr.
- Every command takes `--quiet`: no progress and no messages. Otherwise a command says within two seconds that it is at
  work, and where stderr is no terminal a line every half minute. Ctrl-C says what is kept and how to go on.
- `classtoken --install-completion` teaches the shell verbs and flags.
- An error is one line: what is wrong, the value, what is allowed, what to do; `classtoken --debug VERB ...` shows the
  whole traceback.
- Another package adds a command with an entry point: `[project.entry-points."classtoken.verbs"]`, then
  `name = "its_package.module:function"`. The function is written as those in `classtoken/cli` are.

## Exit codes

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | our fault: an `InternalError`, or any exception that is not ours; please report it |
| 2 | the input: an error of ours, an option that cannot be read, a full disk; of `verify`: something is wrong |
| 130 | interrupted (Ctrl-C); what is finished is kept, and the same command goes on |

```text
{help}
```
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    top = typer.Context(group, info_name="classtoken", terminal_width=WIDTH, max_content_width=WIDTH)
    rows = [
        [f"[`{verb}`]({PAGES.get(verb, verb)}.md)", _first_line(group.get_command(top, verb).help)] for verb in VERBS
    ]
    text = "\n".join(line.rstrip() for line in group.get_help(top).splitlines())
    return notice("docs_cli.py") + TEXT.format(verbs=table(["verb", "does"], rows), help=text)


def _first_line(text: str) -> str:
    return text.strip().split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    finish(DOCS / "cli.md", page())
