"""The tree of exceptions in docs/errors.md, as `classtoken.errors` draws it."""

import inspect

from generated import DOCS, finish, into

from classtoken import errors

PAGE = DOCS / "errors.md"


def text() -> str:
    """The page with its tree as the code is now."""
    drawn = (inspect.getdoc(errors) or "").split("\n\n", 1)[1]
    return into(PAGE.read_text(encoding="utf-8"), "docs_errors.py", f"```text\n{drawn}\n```")


if __name__ == "__main__":
    finish(PAGE, text())
