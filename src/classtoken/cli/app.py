"""The typer application: finds a verb's file, runs it, and turns what happens into text and an exit code."""

import contextlib
import errno
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import classtoken
from classtoken.cli import VERBS
from classtoken.cli.output import Answer, one_line
from classtoken.errors import ClasstokenError, InternalError

INTERRUPTED = 130
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Verbs(TyperGroup):
    """The group of all verbs; a verb's module is imported when the verb is called or listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            near = get_close_matches(cmd_name, VERBS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"the commands are {', '.join(VERBS)}."
            ctx.fail(f"there is no command '{cmd_name}'; {hint}")
        name = cmd_name.replace("-", "_")
        function = getattr(import_module(f"classtoken.cli.{name}"), name)
        single = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=CONTEXT)
        single.command(cmd_name)(function)
        return typer.main.get_command(single)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"classtoken {classtoken.__version__}")
        raise typer.Exit


app = typer.Typer(cls=Verbs, rich_markup_mode=None, add_completion=False, context_settings=CONTEXT)


@app.callback()
def classtoken_(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """One vector per image or text, from any transformer encoder: the right one, fast, and explained.

    MODEL is a folder, a hub id or builtin:NAME. SOURCE is a folder of images, or a .txt, .csv, .tsv, .jsonl, .parquet
    or .tar file. Every command takes --json, which prints one JSON object on stdout and nothing else.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; everything that it says on stdout is its `Answer`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(app)
    try:
        # --help writes on stdout itself; a command's libraries must not, so that --json stays one object.
        asks_help = not {"-h", "--help", "--version"}.isdisjoint(arguments)
        with contextlib.nullcontext() if asks_help else contextlib.redirect_stdout(sys.stderr):
            answer = command.main(arguments, prog_name="classtoken", standalone_mode=False)
        if isinstance(answer, Answer):
            _write(answer.text)
            return answer.exit_code
        return answer if isinstance(answer, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0
    except Exception as error:
        if "--debug" in arguments[:1]:
            raise
        return _explain(error, next((word for word in arguments if word in VERBS), "COMMAND"))


def _write(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def _explain(error: Exception, verb: str) -> int:
    """One line on stderr, and the exit code."""
    if isinstance(error, ClasstokenError):
        code, line = error.exit_code, str(error)
    elif isinstance(error, typer.TyperException):
        message = error.format_message().replace("Value error, ", "").rstrip(".")
        code, line = 2, f"{message}. See: classtoken {verb} --help"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
        code, line = 2, f"cannot use {error.filename or 'a file'}: {error.strerror}. Free space or give another folder."
    else:
        kind = "" if isinstance(error, InternalError) else f"{type(error).__name__}: "
        code, line = 1, f"internal error: {kind}{error} (see all of it with: classtoken --debug {verb} ...)"
    sys.stderr.write(f"classtoken: {one_line(line)}\n")
    return code
