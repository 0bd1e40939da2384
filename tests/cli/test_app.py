"""The command line itself: one answer on stdout, one line for an error, the right exit code."""

import contextlib
import errno
import importlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import typer

from classtoken.cli import VERBS, app, main
from classtoken.cli.command import OPERANDS, OWN, option_kinds
from classtoken.cli.output import Answer
from classtoken.cli.progress import say
from classtoken.errors import ClasstokenError, InternalError
from classtoken.options import DuplicatesOptions, TrainOptions
from classtoken.options.base import all_fields
from classtoken.options.shared import OF_EVERY, OF_MODEL, OF_SOURCE
from classtoken.results.base import Result
from classtoken.version import __version__


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable], None]:
    """Makes a function the verb `fake`."""

    def install(function: Callable) -> None:
        module = ModuleType("classtoken.cli.fake")
        module.fake = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "classtoken.cli.fake", module)
        monkeypatch.setattr(app, "VERBS", (*VERBS, "fake"))

    return install


def raising(error: BaseException) -> Callable[[], Answer]:
    def fake() -> Answer:
        print("a library that talks")  # noqa: T201 - it must not reach stdout
        raise error

    return fake


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ClasstokenError("the value is 3;\n  give 4."), 2, "classtoken: the value is 3; give 4."),
        (
            InternalError("lost"),
            1,
            "classtoken: internal error: lost (see all of it with: classtoken --debug fake ...)",
        ),
        (ZeroDivisionError("by zero"), 1, "classtoken: internal error: ZeroDivisionError: by zero (see all"),
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), 2, "classtoken: cannot use out/x: No space left"),
        (OSError(errno.EFBIG, "File too large", "a", None, "out/x"), 2, "classtoken: cannot use out/x: File too large"),
        (
            PermissionError(errno.EACCES, "Permission denied", "out"),
            2,
            "classtoken: cannot use out: Permission denied. Give yourself the right",
        ),
    ],
)
def test_errors_are_one_line_and_a_code(
    verb: Callable, capsys: pytest.CaptureFixture[str], error: Exception, code: int, line: str
) -> None:
    verb(raising(error))
    assert main(["fake"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "a library that talks"
    assert err.splitlines()[1].startswith(line)
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize("verb", [None, "train"])
def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str], verb: str | None) -> None:
    known = [] if verb is None else [verb]
    assert main(["help", *known]) == 0
    asked = capsys.readouterr().out
    assert main([*known, "--help"]) == 0
    assert capsys.readouterr().out == asked
    assert asked.startswith(f"Usage: classtoken {verb or '[OPTIONS]'}")


def test_an_interrupt_is_130_and_says_what_is_kept(
    verb: Callable, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    finished = list[Path]()

    def fake(out: Annotated[Path, typer.Option("--out")], options: DuplicatesOptions) -> Answer:
        for path in finished:
            path.touch()
        raise KeyboardInterrupt

    verb(fake)
    assert main(["fake", "--out", str(tmp_path / "new")]) == 130
    out, err = capsys.readouterr()
    assert (out, err) == ("", "classtoken: stopped. Nothing was written; the same command begins anew.\n")
    receipts = tmp_path / "_meta" / "receipts"
    receipts.mkdir(parents=True)
    assert main(["fake", "--out", str(tmp_path)]) == 130  # what was begun and is no use is not called kept
    assert "No part was finished yet; the same command begins anew" in capsys.readouterr().err
    (receipts / "0").touch()
    old = time.time() - 60
    for path in (receipts / "0", receipts):
        os.utime(path, (old, old))
    assert main(["fake", "--out", str(tmp_path)]) == 130  # of other work, perhaps: it has not been compared
    assert f"Nothing was written; what was finished before is still in '{tmp_path}'" in capsys.readouterr().err
    assert main(["fake", "--out", str(tmp_path), "--overwrite"]) == 130  # what is of the same work stays
    assert "goes on with it if it is of the same work, and begins anew if it is not." in capsys.readouterr().err
    finished.append(receipts / "1")
    assert main(["fake", "--out", str(tmp_path)]) == 130
    assert f"kept in '{tmp_path}'; the same command goes on from there" in capsys.readouterr().err


def test_a_folder_where_a_file_belongs_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.txt", tmp_path / "out"
    texts.write_text("a cat\na dog\n")
    command = ["embed", str(texts), "--model", "builtin:sentiment", "--out", str(out)]
    assert main(command) == 0
    (receipt,) = (out / "_meta" / "receipts").iterdir()
    receipt.unlink()
    receipt.mkdir()
    capsys.readouterr()
    assert main(command) == 2
    assert f"cannot use {receipt}: a folder stands where a file belongs." in capsys.readouterr().err


@pytest.mark.parametrize("where", ["classtoken.cli.app._check_here", "typer.core.TyperCommand.make_context"])
def test_an_interrupt_before_a_verb_has_begun_is_said_too(
    verb: Callable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    verb(raising(AssertionError("it was not to begin")))

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, stopped)
    assert main(["fake"]) == 130
    assert capsys.readouterr() == ("", "classtoken: stopped. Nothing was written.\n")


def test_an_interrupt_while_the_command_line_is_loaded_is_said_too() -> None:
    code = (
        "import classtoken.__main__ as program\n"
        "def main(arguments): raise KeyboardInterrupt\n"
        "program.main = main\n"
        "program.start([])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "classtoken: stopped. Nothing was written.\n")


@pytest.mark.parametrize(("overwrite", "said"), [([], "command"), (["--overwrite"], "command without --overwrite")])
def test_a_training_that_overwrites_goes_on_without_it_only(
    verb: Callable, capsys: pytest.CaptureFixture[str], tmp_path: Path, overwrite: list[str], said: str
) -> None:
    def fake(out: Annotated[Path, typer.Option("--out")], options: TrainOptions) -> Answer:
        (out / "checkpoint.pt").touch()
        raise KeyboardInterrupt

    verb(fake)
    assert main(["fake", "--out", str(tmp_path), *overwrite]) == 130
    assert f"kept in '{tmp_path}'; the same {said} goes on from there" in capsys.readouterr().err
    (tmp_path / "result.json").touch()  # of the run before, of which nothing is taken up
    assert main(["fake", "--out", str(tmp_path), "--overwrite"]) == 130
    assert "a finished run has left there; the same command begins anew." in capsys.readouterr().err
    (tmp_path / "_meta").mkdir()
    (tmp_path / "_meta" / "writing").touch()
    assert main(["fake", "--out", str(tmp_path), "--overwrite"]) == 130
    assert "the same command without --overwrite goes on from there" in capsys.readouterr().err


def test_an_error_is_json_where_json_is_asked_for(verb: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    verb(raising(ClasstokenError("the value is 3; give 4.")))
    assert main(["fake", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"] == {"kind": "ClasstokenError", "message": "the value is 3; give 4.", "exit_code": 2}
    assert "classtoken: the value is 3; give 4." in err
    assert main(["embed", "--json", "--poling", "x"]) == 2
    assert "--pooling" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_quiet_leaves_the_answer_and_errors(verb: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    def fake(fails: Annotated[bool, typer.Option("--fails")] = False) -> Answer:
        say("a message")
        if fails:
            raise ClasstokenError("no.")
        return Answer("the answer")

    verb(fake)
    assert main(["fake", "--quiet"]) == 0
    assert capsys.readouterr() == ("the answer\n", "")
    assert main(["fake", "-q", "--fails"]) == 2
    assert capsys.readouterr() == ("", "classtoken: no.\n")


@pytest.mark.parametrize(("typed", "offered"), [("classtoken em", "embed"), ("classtoken embed --pool", "--pooling")])
def test_a_shell_is_offered_verbs_and_flags(
    typed: str, offered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_CLASSTOKEN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    with contextlib.suppress(SystemExit):
        main(["x"])
    assert offered in capsys.readouterr().out.splitlines()


def test_debug_shows_everything(verb: Callable) -> None:
    verb(raising(ClasstokenError("here")))
    with pytest.raises(ClasstokenError, match="here"):
        main(["--debug", "fake"])


def test_only_the_answer_reaches_stdout(verb: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    def fake() -> Answer:
        print("a library that talks")  # noqa: T201 - it must not reach stdout
        return Answer("the answer", exit_code=2)

    verb(fake)
    assert main(["fake"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("the answer\n", "a library that talks\n")


def test_a_result_is_text_or_one_object() -> None:
    class Two(Result):
        def __str__(self) -> str:
            return "two"

    assert Answer(Two()).written(False) == "two"
    assert json.loads(Answer(Two()).written(as_json=True)) == {"format": "classtoken.Two/1"}
    assert Answer(Two(), text="more").written(False) == "more"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["embde"], "classtoken: there is no command 'embde'; did you mean 'embed'?"),
        (["sing"], f"classtoken: there is no command 'sing'; the commands are {', '.join(VERBS)}"),
        (["embed", "x"], "classtoken: Missing option '--model'. See: classtoken embed --help"),
        (
            ["embed", "--poling", "x"],
            "classtoken: No such option: --poling (Possible options: --encoding, --plan, --pooling). "
            "See: classtoken embed",
        ),
        (
            ["embed", "x", "--limit", "many"],
            "classtoken: Invalid value for '--limit': must be a whole number, 1 or more, not 'many'. See: ",
        ),
        (
            ["index", "x", "--recall", "0"],
            "classtoken: Invalid value for '--recall': must be a number, above 0, at most 1",
        ),
        (
            ["index", "x", "--recall", "nan"],
            "classtoken: Invalid value for '--recall': must be a number, above 0, at most",
        ),
        (
            ["train", "x", "--seed", "-1"],
            "classtoken: Invalid value for '--seed': must be a whole number, 0 or more, at most 4294967295, not '-1'",
        ),
        (
            ["serve", "--port", "70000"],
            "classtoken: Invalid value for '--port': must be a whole number, 0 or more, at most",
        ),
        (["--nonsense"], "classtoken: No such option: --nonsense"),
        (
            ["explain", "a.jpg", "--model", "x", "--faithful", "3", "--text-column", "b"],
            "classtoken: Invalid value: --faithful, --text-column: only with --data. See: classtoken explain --help",
        ),
        (
            ["explain", "--data", "photos/", "--model", "x", "--cut", "layers:1"],
            "classtoken: Invalid value: --cut: only for one INPUT, not with --data. See: classtoken explain --help",
        ),
    ],
)
def test_wrong_use_is_one_line_and_2(capsys: pytest.CaptureFixture[str], arguments: list[str], line: str) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line), err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(f"\n  {verb} " in out for verb in VERBS)
    assert "..." not in out.split("Commands:")[1]  # sentences are wrapped, not cut


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import classtoken

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"classtoken {classtoken.__version__}\n"


def test_a_reader_that_has_gone_is_no_error(verb: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def close(self) -> None:
            pass

    verb(lambda: Answer("the answer"))
    monkeypatch.setattr(sys, "stdout", Gone())
    assert main(["fake"]) == 0


def test_a_broken_pipe_of_the_work_itself_is_a_failure(verb: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    """To a worker, or to a store: nothing was answered, and nobody may take it for done."""
    verb(raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert main(["fake"]) == 1
    assert "classtoken: internal error: BrokenPipeError" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_an_answer_that_cannot_be_written_is_one_line(
    verb: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    verb(lambda: Answer("the answer"))
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["fake", *more]) == 2
    assert capsys.readouterr().err.startswith("classtoken: the answer cannot be written to stdout: No space left")
    monkeypatch.setattr(sys, "stderr", Full())  # a log on a full disk costs no answer
    verb(lambda: Answer("", after=("a message",)))
    assert main(["fake", *more]) == 0
    assert main(["fake", "--nothing", *more]) == 2


def test_a_deleted_current_folder_is_named(
    verb: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> str:
        raise FileNotFoundError

    verb(lambda: Answer("the answer"))
    monkeypatch.setattr(os, "getcwd", gone)
    assert main(["fake"]) == 2
    assert capsys.readouterr().err == (
        "classtoken: the current folder has been deleted; change (cd) to one that is there.\n"
    )
    assert main(["--version"]) == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_signs_that_stdout_has_not_are_written_as_json_writes_them(
    verb: Callable, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    said = 'na\u00efve \u65e5 \U0001f600 "'
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    verb(lambda: Answer(json.dumps({"text": said}, ensure_ascii=False)))
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["fake"]) == 0
    assert json.loads(stream.buffer.getvalue().decode(encoding)) == {"text": said}  # type: ignore[attr-defined]


CLOSED = """
import os, sys
from classtoken.__main__ import open_closed
open_closed()
assert sys.stdin.read() == ""
assert os.open(os.devnull, os.O_RDONLY) > 2
sys.stderr.write("lost")
try:
    print("an answer", flush=True)
except OSError:
    os._exit(7)
"""


@pytest.mark.skipif(os.name != "posix", reason="a shell closes them")
def test_streams_that_are_closed_are_opened_on_nothing() -> None:
    run = ["/bin/sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, CLOSED]
    assert subprocess.run(run, check=False).returncode == 7


ENDING = """
import atexit, sys, threading, time
from classtoken.__main__ import start
atexit.register(lambda: print("tidied"))
threading.Thread(target=time.sleep, args=(600,)).start()
{more}
start(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("arguments", "more", "code", "said"),
    [
        (["--version"], "", 0, f"classtoken {__version__}\ntidied\n"),
        (["nonsense"], "", 2, "tidied\n"),
        (["--version"], "sys.stderr.close()", 0, f"classtoken {__version__}\ntidied\n"),
    ],
)
def test_a_command_ends_its_process_whatever_its_threads_do(
    arguments: list[str], more: str, code: int, said: str
) -> None:
    """What it said is out and what was registered is done; no thread of a library can hold it, or break it down."""
    command = [sys.executable, "-c", ENDING.format(more=more), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (code, said), done.stderr


@pytest.mark.parametrize(
    ("told", "found"),
    [({}, "50000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_threads_are_told_how_long_to_wait_before_torch_is_there(told: dict[str, str], found: str | None) -> None:
    """And what a user says about it stands."""
    script = (
        "import os, sys, classtoken.__main__ as command; assert 'torch' not in sys.modules; command.wait_less(); "
        "print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    free = {k: v for k, v in os.environ.items() if k not in {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}}
    done = subprocess.run([sys.executable, "-c", script], env=free | told, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(found)], done.stderr


def test_a_command_whose_reader_has_gone_ends_well() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "classtoken", "--help"], stdout=writer, stderr=-1, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("verb", VERBS)
def test_help_lists_every_option_once_the_verbs_own_first(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = typer.main.get_command(app.app).get_command(None, verb)  # type: ignore[attr-defined]
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr().out
    headings = re.findall(r"^(\w[\w ]+):$", said, re.M)
    known = [OPERANDS, OWN, OF_SOURCE, OF_MODEL, OF_EVERY]
    assert [heading for heading in headings if heading in known] == [k for k in known if k in headings]
    listed = said.partition("\nOptions:\n")[2]
    for parameter in command.params:
        if parameter.param_type_name == "option":
            longest = max(parameter.opts, key=len)
            assert len(re.findall(rf"^  (?:-\w, )?{longest}(?=[\s/])", listed, re.M)) == 1, longest
    of_every = said.partition(f"\n{OF_EVERY}:\n")[2]
    assert all(flag in of_every for flag in ("--json", "--quiet", "--verbose", "--help"))


def test_help_names_options_by_their_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "with --update." in out
    assert "--finish closes" in out


@pytest.mark.parametrize("name", VERBS)
def test_in_backticks_help_names_options_only(name: str) -> None:
    """They become flags, so a column `id` would be `--id` where a verb has an option of that name."""
    verb = getattr(importlib.import_module(f"classtoken.cli.{name}"), name)
    kinds = itertools.chain.from_iterable(option_kinds(verb).values())
    helps = {field.name: field.about.help for kind in kinds for field in all_fields(kind)}
    named = {word for words in helps.values() for word in re.findall(r"`(\w+)`", words)}
    assert named <= helps.keys()


def test_what_a_person_reads_cannot_steer_a_terminal() -> None:
    """File names and texts may hold anything; JSON escapes it by itself."""
    assert Answer("", text="a\x1b[2Jb\x07\tc\r\nd").written(False) == "a\ufffd[2Jb\ufffd\tc\ufffd\nd"


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["embed", "x.csv", "--model", "builtin:toy", "--out", ""], "--out"),
        (["train", "x.csv", "--model", "builtin:toy", "--out="], "--out"),
        (["atlas", "vectors", "--out", ""], "--out"),
        (["embed", "x.csv", "--model", "builtin:toy", "--out", "v", "--labels", ""], "--labels"),
        (["embed", "", "--model", "builtin:toy", "--out", "v"], "an empty text is no path"),
        (["search", "", "words"], "an empty text is no path"),
    ],
)
def test_an_empty_text_is_no_path(
    words: list[str], flag: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pathlib makes the folder that one is in of it: a script whose variable is not set would write there."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith(f"classtoken: {flag}")
    assert "'.' is the one that you are in" in said
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["verify", "a" * 300], ["embed", "a" * 300, "--model", "builtin:toy", "--out", "v"]):
        assert main(words) == 2
        assert "no file or folder can be called 'aaa" in capsys.readouterr().err


def test_an_option_that_takes_one_value_is_given_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The last would win, and the first be lost without a word."""
    words = ["embed", "x.csv", "--model", "builtin:toy", "--out", str(tmp_path / "v"), "--pooling", "cls"]
    assert main([*words, "--pooling", "mean"]) == 2
    assert "--pooling is given 2 times, and the last would win; give it once" in capsys.readouterr().err
    assert main([*words, "--strict", "--strict"]) == 2
    assert "there is no file or folder 'x.csv'" in capsys.readouterr().err
