"""Files and folders that are whole or absent."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import classtoken as ct
from classtoken.errors import OptionError, OutputError
from classtoken.files import (
    UNFINISHED,
    in_shell,
    last_part,
    remove_unfinished,
    shown_name,
    special_file,
    user_path,
    whole_file,
    whole_folder,
    write_text,
)
from classtoken.places import place_of


def here(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def half(path: Path, error: BaseException) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


def test_a_file_appears_when_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("before")
    with whole_file(path) as temporary:
        temporary.write_text("after")
        assert path.read_text() == "before"
    assert here(tmp_path) == {"x": "after"}


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_and_folder_have_the_umasks_mode(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "x", "")
        with whole_folder(tmp_path / "f") as folder:
            (folder / "y").write_text("")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode
    assert (tmp_path / "f").stat().st_mode & 0o666 == mode


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("before")
    full = OSError(28, "No space left on device")
    with pytest.raises(OutputError, match=r"x cannot be written: No space left on device\. Fix that"):
        half(tmp_path / "x", full)
    with pytest.raises(KeyboardInterrupt):
        half(tmp_path / "x", KeyboardInterrupt())
    assert here(tmp_path) == {"x": "before"}


def test_an_input_that_cannot_be_read_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), whole_file(tmp_path / "x") as temporary:
        temporary.write_bytes((tmp_path / "input").read_bytes())
    assert here(tmp_path) == {}


@pytest.mark.parametrize("place", ["absent/x", "file/x"])
def test_a_place_where_nothing_can_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / place, "")


WRITE = """
import sys, time
from pathlib import Path
from classtoken.files import whole_file, whole_folder
path = Path(sys.argv[1])
with whole_file(path / "x") as file, whole_folder(path / "f") as folder:
    file.write_text("half")
    (folder / "y").write_text("half")
    (path / "begun").write_text("")
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)])
    limit = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < limit:
        time.sleep(0.01)
    remove_unfinished(tmp_path)  # in use: left alone
    with pytest.raises(OutputError, match="another process is writing"), whole_folder(tmp_path / "f"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "begun").unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".f.unfinished", ".x.unfinished"]
    write_text(tmp_path / "x", "w")
    with whole_folder(tmp_path / "f") as folder:
        (folder / "z").write_text("")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["f", "f/z", "x"]


def test_a_folder_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".x.unfinished").write_text("half")
    (tmp_path / "y").write_text("")
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["y"]


def test_two_writers_of_one_file_take_turns(tmp_path: Path) -> None:
    texts = [str(n) * 10_000 for n in range(8)]
    threads = [threading.Thread(target=write_text, args=(tmp_path / "x", text)) for text in texts for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here(tmp_path)["x"] in texts
    assert len(here(tmp_path)) == 1


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with whole_folder(tmp_path / "f") as folder:  # an empty one is filled
        (folder / "x").write_text("")
    with pytest.raises(OutputError, match="holds something"), whole_folder(tmp_path / "f"):
        pass
    with pytest.raises(OutputError, match="is a file"), whole_folder(tmp_path / "f" / "x"):
        pass
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "f", replacing=True) as folder:
        raise ZeroDivisionError
    assert list((tmp_path / "f").iterdir()) != []
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "g") as folder:
        (folder / "x").write_text(str(1 / 0))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["f", "f/x"]


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the renames there is a moment without either: it fails there, or is killed and tried again."""
    place, rename = tmp_path / "f", Path.rename

    def failing(path: Path, to: Path) -> Path:
        if to == place and not path.name.endswith("-before"):
            raise KeyboardInterrupt
        return rename(path, to)

    def replaced(text: str) -> None:
        with whole_folder(place, replacing=True) as folder:
            (folder / "x").write_text(text)

    replaced("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(KeyboardInterrupt):
            replaced("new")
        assert here(place) == {"x": "old"}
        rename(place, tmp_path / f".f{UNFINISHED}-before")
        with pytest.raises(KeyboardInterrupt):
            replaced("new")
        assert here(place) == {"x": "old"}
    replaced("new")
    assert here(tmp_path / "f") == {"x": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("value", [None, 5, [], b"x"])
def test_what_is_no_path_is_said(value: object) -> None:
    for takes in (user_path, place_of, ct.read):
        with pytest.raises(OptionError, match=f"a value of type {type(value).__name__} is no path; give one as a text"):
            takes(value)  # type: ignore[operator]


def test_what_no_file_can_be_called_is_one_line(tmp_path: Path) -> None:
    for name in ("", "a" * 300, f"{tmp_path}/{'b' * 300}/x", "a\0b", "~nobody-is-called-so/x"):
        with pytest.raises(OptionError, match=r"an empty text is no path|no file or folder can be called") as error:
            user_path(name)
        assert len(str(error.value)) < 200
    (tmp_path / "round").symlink_to("round")
    assert user_path(tmp_path / "round") == tmp_path / "round"
    assert user_path(f"{tmp_path}/nothing/there") == tmp_path / "nothing/there"
    with pytest.raises(OptionError, match="symbolic links"):
        user_path(tmp_path / "round/x")


def test_what_waits_or_never_ends_is_told_from_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "file").touch()
    found = {name: special_file(tmp_path / name) for name in ("pipe", "link", "file", ".", "nothing")}
    assert found == {"pipe": "a pipe", "link": "a pipe", "file": None, ".": None, "nothing": None}
    assert special_file(Path("/dev/zero")) == "a device"


def test_what_is_shown_is_called_as_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "minilm").symlink_to(tmp_path / "model")
    monkeypatch.chdir(tmp_path / "model")
    names = {
        tmp_path / "minilm": ("minilm", "minilm"),
        "../minilm/": ("minilm", "minilm"),
        ".": ("model", "model"),
        "..": (tmp_path.name, tmp_path.name),
        "org/name": ("org/name", "name"),
        "builtin:toy": ("builtin:toy", "builtin:toy"),
        "s3://bucket/rows.parquet": ("s3://bucket/rows.parquet", "rows.parquet"),
        "x" * 5000: ("x" * 5000, "x" * 5000),
    }
    assert {given: (shown_name(given), last_part(given)) for given in names} == names


@pytest.mark.parametrize(
    "name", [b"a b", b"it's", b"-odd", b"$HOME", b"x\xff'", b"a\nb", "ü".encode(), b"\\x41", b"~x"]
)
def test_a_path_in_a_command_is_read_by_the_shell_as_it_was(name: bytes) -> None:
    said = subprocess.run(
        ["bash", "-c", f"printf %s {in_shell(os.fsdecode(name))}"], capture_output=True, check=True
    ).stdout
    assert said.removeprefix(b"./") == name


def test_a_name_that_begins_with_a_tilde_is_one_behind_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert user_path("./~x") == tmp_path / "~x"


def test_a_library_that_has_words_of_its_own_for_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says `enforce fail`; what is wrong is found out by writing a little more."""

    def write() -> None:
        with whole_file(tmp_path / "checkpoint.pt") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("enforce fail")

    with pytest.raises(RuntimeError, match="enforce fail"):
        write()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match=r"checkpoint\.pt cannot be written: No space left on device\."):
        write()
    monkeypatch.setattr(os, "pwrite", lambda *_: 5)
    with pytest.raises(OutputError, match="No space left"):
        write()
    assert not list(tmp_path.iterdir())
