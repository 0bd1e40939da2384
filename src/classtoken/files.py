"""Files and folders that are whole or absent: written under a temporary name, flushed to the disk, then renamed.

This is the only place in the package that renames anything. A process that is killed while it writes leaves a file
`.NAME.unfinished`; the next write of NAME takes it over, and `remove_unfinished` removes those of a whole folder.
"""

import contextlib
import errno
import fcntl
import os
import shlex
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from classtoken.errors import ClasstokenError, OptionError, OutputError

UNFINISHED = ".unfinished"
MORE = 1 << 20
"""bytes that a disk takes that is not full"""
SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
LONGEST = 60
"""signs of a name that can be none, as it is shown"""
MOST_BESIDE = 10_000
"""files of a folder that are looked through for one that is called alike"""


def called_alike(path: Path) -> Path | None:
    """What lies beside a path that does not exist and is called nearly so, or so with more behind."""
    if not path.name or not path.parent.is_dir():
        return None
    names = [other.name for other in islice(path.parent.iterdir(), MOST_BESIDE)]
    longer = sorted(name for name in names if name.startswith(path.name))
    near = [*longer, *get_close_matches(path.name, names, n=1, cutoff=0.8)]
    return path.parent / near[0] if near else None


def user_path(path: str | Path) -> Path:
    """A path as a user writes it: `~` is the home folder, also where no shell has put it in (`--out=~/x`).

    Raises `OptionError` for what no file or folder can be called. An empty text is no path, least of all the folder
    that one is in: a script whose variable is not set would write there.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"a value of type {type(path).__name__} is no path; give one as a text or as a Path.")
    if path == "":
        raise OptionError("an empty text is no path; name a file or a folder ('.' is the one that you are in).")
    try:
        here = isinstance(path, str) and path.startswith("./") and path.lstrip("./").startswith("~")
        found = Path.cwd() / path if here else Path(path).expanduser()  # a Path has lost what says that `~` is a name
        found.lstat()
    except (RuntimeError, ValueError) as error:  # nobody's home; a NUL
        raise _no_name(path, str(error).rstrip(".")) from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise _no_name(path, str(error.strerror)) from None
    return found


def shown_name(given: str | Path) -> str:
    """What a folder or a file is called for a reader: by the last part of its path as it was given, so that a link is
    called as it is here and `.` by the folder's own name. What is no path, as a hub id or an address, as it is."""
    try:
        path = Path(given).expanduser()
        there = path.exists()
    except (RuntimeError, ValueError, OSError):
        return str(given)
    return (Path(os.path.abspath(path)).name if there else "") or str(given)  # noqa: PTH100  (resolve() follows links)


def in_shell(path: str) -> str:
    """A path as one word of a command to copy: quoted where it must be, no option where it begins with a dash, and
    where it has bytes that are no text or signs that end a line, as bash and zsh write them: `$'a\\xff'`."""
    text = f"./{path}" if path.startswith("-") else path
    if text.isprintable():
        return shlex.quote(text)
    signs = (chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(text))
    return f"$'{''.join(signs)}'"


def last_part(given: str | Path) -> str:
    """What a source is called for a reader: as `shown_name`, and of an address its last part."""
    return Path(shown_name(given)).name or str(given)


def _no_name(path: str | Path, why: str) -> OptionError:
    text = str(path)
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return OptionError(f"no file or folder can be called {short!r} ({why}); give another name.")


def special_file(path: Path) -> str | None:
    """What a path is that is neither a file nor a folder, in words: reading it may wait, or go on, for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else SPECIAL.get(stat.S_IFMT(mode))


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; when the block ends, that file appears as `path`, replacing what was there.

    The bytes are on the disk before the name is, and the name is before the block is left. Its mode is that of any new
    file (the umask's). When the block raises, nothing is left and `path` is as it was; an `OSError` of writing (a full
    disk, a folder that may not be written) is raised as `OutputError`. Two writers of one path take turns, and the last
    one stays.
    """
    temporary = _temporary(path)
    with _as_output_error(path, temporary):
        handle = _locked_file(temporary)
        try:
            try:
                yield temporary
                # A library may have put a file of its own in the place of ours, for its owner's eyes only.
                temporary.chmod(stat.S_IMODE(os.fstat(handle).st_mode))
                _flush(temporary)
            except BaseException as error:
                ours = isinstance(error, OSError | ClasstokenError) or not isinstance(error, Exception)
                full = not ours and _is_full(handle)
                temporary.unlink(missing_ok=True)
                if full:  # which libraries that write in C or Rust say in words of their own
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
                raise
            temporary.replace(path)
        finally:
            os.close(handle)
        _flush(path.parent)


@contextmanager
def whole_folder(path: Path, *, replacing: bool = False) -> Iterator[Path]:
    """An empty temporary folder to fill; when the block ends, it appears as `path`, which must be absent or empty;
    `replacing` what is there, which stays where the block fails.

    Raises `OutputError` as `whole_file` does, when `path` is a file or holds something, and when another process is
    filling it.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"'{path}' is a file; name a new folder.")
    if not replacing and path.exists() and (there := sorted(inside.name for inside in path.iterdir())):
        raise OutputError(f"'{path}' is there already and holds something ('{there[0]}'). Name a new folder.")
    temporary = _temporary(path)
    with _as_output_error(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        if temporary.exists():
            with _unless_in_use(temporary) as free:
                if not free:
                    raise OutputError(f"another process is writing '{path}'; wait for it, or name another folder.")
                shutil.rmtree(temporary)
        temporary.mkdir()
        with _unless_in_use(temporary):
            try:
                yield temporary
                for inside in (*temporary.rglob("*"), temporary):
                    _flush(inside)
                if replacing:
                    _put_instead(temporary, path)
                else:
                    if path.exists():
                        path.rmdir()
                    temporary.rename(path)
                _flush(path.parent)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise


def _put_instead(temporary: Path, path: Path) -> None:
    """Rename a whole folder; what was there before goes when the new one stands, and comes back where it cannot."""
    before = temporary.with_name(f"{temporary.name}-before")
    if before.exists() and not path.exists():  # killed between the two renames
        before.rename(path)
    shutil.rmtree(before, ignore_errors=True)
    if path.exists():
        path.rename(before)
    try:
        temporary.rename(path)
    except BaseException:
        if before.exists() and not path.exists():
            before.rename(path)
        raise
    shutil.rmtree(before, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) as a whole. Raises `OutputError`."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_new(path: Path, content: bytes) -> bool:
    """Write a whole file where there is none; False where there is one, which stays: of two writers one wins."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{UNFINISHED}")
    with _as_output_error(path, temporary):
        try:
            temporary.write_bytes(content)
            _flush(temporary)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return True


def link_or_copy(path: Path, to: Path) -> None:
    """The same file under another name: as a link where the file system has them, else as a copy."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def linked(path: Path, to: Path) -> bool:
    """The same file under another name, which appears at once; False where it cannot be, or is another file's."""
    try:
        os.link(path, to)
    except FileExistsError:
        return to.samefile(path)
    except OSError:
        return False
    return True


def flush_folder(folder: Path) -> None:
    """When this returns, the names in a folder will outlive a crash. Raises `OutputError`."""
    with _as_output_error(folder, folder):
        _flush(folder)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder; those being written now are left alone."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with _unless_in_use(path) as free:
            if free and path.is_file():
                path.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether no other process is in such a block of the same path, whose file is there as long as the block is.

    Raises `OutputError` where the file cannot be made.
    """
    with _as_output_error(path, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        while (free := _lock(handle)) and not _is_same(handle, path):  # its owner has just gone, and the file with it
            os.close(handle)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield free
    finally:
        if free:
            path.unlink(missing_ok=True)
        os.close(handle)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{UNFINISHED}")


def _locked_file(temporary: Path) -> int:
    """The temporary file, empty and locked: another writer waits here until it is renamed, then begins its own."""
    while True:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666)
        locked = False
        try:
            with contextlib.suppress(OSError):  # file systems without locks do without
                fcntl.flock(handle, fcntl.LOCK_EX)
            locked = True
            if _is_same(handle, temporary):
                os.ftruncate(handle, 0)
                return handle
        except BaseException:
            if locked and _is_same(handle, temporary):
                temporary.unlink(missing_ok=True)
            os.close(handle)
            raise
        os.close(handle)  # the writer before us has renamed it: what we hold is its finished file


def _is_full(handle: int) -> bool:
    """Whether the disk that an open file is on takes no more of it."""
    try:
        return os.pwrite(handle, bytes(MORE), os.fstat(handle).st_size) < MORE
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _is_same(handle: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


@contextmanager
def _unless_in_use(path: Path) -> Iterator[bool]:
    """Whether no living process holds the lock of a temporary file or folder; if so, it is ours within the block."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False  # just renamed by its writer
        return
    try:
        yield _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file or folder, as long as it is open; False where another process has. File systems without locks
    do without."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _as_output_error(path: Path, temporary: Path) -> Iterator[None]:
    """`OutputError` for what the system says about `path`; errors about other files (an input) stay as they are."""
    try:
        yield
    except ClasstokenError:  # which says what it is about, though it may be an `OSError` too
        raise
    except OSError as error:
        about = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
        ours = about is None or about in (path, path.parent) or about.is_relative_to(temporary)
        if not ours:
            raise
        what = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(
            f"{path} cannot be written: {what}. Fix that or choose another place, then run it again."
        ) from error
