"""The typer application: finds a verb's file, runs it, and turns what happens into text and an exit code."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from classtoken.cli import INTERRUPTED, STOPPED_EARLY, VERBS
from classtoken.cli.command import CONTEXT, command_of, with_flags
from classtoken.cli.output import in_encoding, one_line
from classtoken.cli.progress import say
from classtoken.errors import ClasstokenError, ExtensionError, InternalError, OptionError
from classtoken.extensions import extension_function, extension_names
from classtoken.plain import to_json
from classtoken.version import __version__

COMPLETE = "_CLASSTOKEN_COMPLETE"
"""set by a shell that asks for completions"""
TALKING = {"-h", "--help", "--version", "--show-completion", "--install-completion", "--recipe-template"}
"""options that print their answer themselves, at once"""
WHOLE = 400
"""more signs than the first sentence of a verb has: it is wrapped, not cut"""


FULL, DENIED = "Free space or give another folder", "Give yourself the right to it, or name another one"
REFUSED = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), DENIED),
}
"""what a system does not allow for a place, and what to do then"""
MISPLACED = {
    errno.EISDIR: "a folder stands where a file belongs",
    errno.ENOTDIR: "a file stands where a folder belongs",
    errno.EEXIST: "something else stands there already",
}
"""what somebody has put into a folder of ours in the place of what belongs there"""


class Verbs(TyperGroup):
    """The group of all verbs, those of other packages among them; a verb's module is imported when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*VERBS, *_others()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        others = _others()
        if cmd_name in (*VERBS, *others):
            return command_of(cmd_name, _function(cmd_name))
        near = get_close_matches(cmd_name, (*VERBS, *others), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"the commands are {', '.join((*VERBS, *others))}."
        ctx.fail(f"there is no command '{cmd_name}'; {hint}")

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The first sentence of each verb, for which no command is built; one that cannot be loaded says so."""
        rows = []
        for name in self.list_commands(ctx):
            try:
                about = TyperCommand(name, help=_function(name).__doc__).get_short_help_str(WHOLE)
            except ExtensionError as error:
                about = one_line(str(error))
            rows.append((name, about))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _function(verb: str) -> Callable[..., Any]:
    """The function of a verb, from `cli/<verb>.py` or from the package that adds it."""
    if verb in VERBS:
        return getattr(import_module(f"classtoken.cli.{verb}"), verb)
    return extension_function("verbs", verb)


def _others() -> tuple[str, ...]:
    """Verbs that other installed packages add."""
    return tuple(name for name in extension_names("verbs") if name not in VERBS)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"classtoken {__version__}")
        raise typer.Exit


app = typer.Typer(cls=Verbs, rich_markup_mode=None, context_settings=CONTEXT)


@app.callback()
def classtoken_(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """One vector per image or text, from any transformer encoder: the right one, fast, and explained.

    MODEL is a folder, a hub id or builtin:NAME. SOURCE is a folder of images, or a .txt, .csv, .tsv, .jsonl, .parquet
    or .tar file, or - for what comes on stdin. Every command takes --json, which prints one JSON object on stdout and
    nothing else.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; all that it says on stdout is its answer."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if arguments[0] == "help" and "help" not in _others():  # what other programs call it
        arguments = [*arguments[1:2], "--help"]
    command = typer.main.get_command(app)
    # --help and completions are written on stdout at once. What a command's libraries say must not get there, so that
    # --json stays one object.
    asks_help = COMPLETE in os.environ or not TALKING.isdisjoint(word.partition("=")[0] for word in arguments)
    try:
        if not asks_help:
            _check_here()
        with contextlib.nullcontext() if asks_help else contextlib.redirect_stdout(sys.stderr):
            answer = command.main(arguments, prog_name="classtoken", standalone_mode=False)
    except KeyboardInterrupt:  # before a verb has begun, or by typer's own hand: what a verb keeps, it says itself
        answer = INTERRUPTED
    except SystemExit as stopped:
        broken = stopped.__context__
        if not isinstance(broken, BrokenPipeError):
            raise  # completions were asked for
        # Typer makes an exit of any broken pipe, also of one to a worker or a store: then the work is not done.
        return _unread() if asks_help else _failed(broken, arguments)
    except Exception as error:
        return _failed(error, arguments)
    return _answered(answer, arguments)


def _answered(answer: Any, arguments: Sequence[str]) -> int:
    """Say what a command has found; the exit code, another one where it cannot be said."""
    try:
        if answer == INTERRUPTED:
            say(STOPPED_EARLY)
        return _spoken(answer)
    except KeyboardInterrupt:
        say("classtoken: stopped while the answer was being said; the work itself was done.")
        return INTERRUPTED
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        said = f"the answer cannot be written to stdout: {error.strerror}. Send it to another file, or to a terminal."
        return _failed(ClasstokenError(said), arguments)
    except Exception as error:
        return _failed(error, arguments)


def _check_here() -> None:
    """Raises `OptionError` where the current folder has been deleted: paths lead nowhere, and libraries abort."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise OptionError("the current folder has been deleted; change (cd) to one that is there.") from None


def _unread() -> int:
    """The exit code where whoever read our answer has gone: there is nobody to tell."""
    with contextlib.suppress(OSError):
        sys.stdout.close()
    return 0


def _failed(error: Exception, arguments: Sequence[str]) -> int:
    """Say what went wrong, on stderr and to a program on stdout, where they can be written; the exit code."""
    if "--debug" in arguments[:1]:
        raise error
    verb = next((word for word in arguments if not word.startswith("-")), "COMMAND")
    code, line = _explained(error, verb)
    say(f"classtoken: {line}")
    if "--json" in arguments:
        said = {"kind": type(error).__name__, "message": line, "exit_code": code}
        with contextlib.suppress(OSError):
            _write(to_json({"format": "classtoken.Error/1", "error": said}))
    return code


def _spoken(answer: Any) -> int:
    """Say what a command has found, then the messages that follow it; its exit code."""
    if not isinstance(answer, tuple):
        return answer if isinstance(answer, int) else 0
    text, code, after = answer
    if text:
        _write(text)
    for line in after:
        say(line)
    return int(code)


def _write(text: str) -> None:
    text = text if text.endswith("\n") else text + "\n"
    sys.stdout.write(in_encoding(text, sys.stdout))
    sys.stdout.flush()


def _explained(error: Exception, verb: str) -> tuple[int, str]:
    """The exit code, and one line."""
    if isinstance(error, ClasstokenError):
        code, line = error.exit_code, _with_flags(str(error), verb)
    elif isinstance(error, typer.TyperException):
        message = error.format_message().replace("Value error, ", "")
        end = "" if message.endswith((".", "?")) else "."
        code, line = 2, f"{message}{end} See: classtoken {verb if _known(verb) else ''} --help".replace("  ", " ")
    elif isinstance(error, OSError) and error.errno in REFUSED:
        place = error.filename2 or error.filename or "a file"  # of a copy, the second is what was written
        code, line = 2, f"cannot use {place}: {error.strerror}. {REFUSED[error.errno]}."
    elif isinstance(error, OSError) and error.errno in MISPLACED and (place := error.filename2 or error.filename):
        code, line = 2, f"cannot use {place}: {MISPLACED[error.errno]}. Move that away or give another folder."
    else:
        kind = "" if isinstance(error, InternalError) else f"{type(error).__name__}: "
        code, line = 1, f"internal error: {kind}{error} (see all of it with: classtoken --debug {verb} ...)"
    return code, one_line(line)


def _known(verb: str) -> bool:
    return verb in VERBS or verb in _others()


def _with_flags(message: str, verb: str) -> str:
    """A message with the flags of the command where it names options in backticks, as they are called in Python."""
    try:
        command = typer.main.get_command(app).get_command(None, verb)  # type: ignore[attr-defined]
    except ClasstokenError:  # another package's command, which cannot be loaded: that is what the message says
        return message
    flags = {p.name: p.opts[0] if p.opts[0].startswith("-") else p.metavar for p in command.params}
    return with_flags(message, flags)
