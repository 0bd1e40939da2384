"""Folders wherever they are: on this machine, or in any store that fsspec knows (`s3://`, `gs://`, `memory://` ...).

A `Place` is a small value that goes to other processes. It promises what every store can keep: what is put appears
whole or not at all, `put_new` lets exactly one of several writers win, and nothing else is relied on. A store has no
rename and no lock; whoever writes there commits with `put_new`. What a store answers wrongly (a time-out, a 503, an
error for a put that succeeded) is asked again; a put done twice is the same put.
"""

import contextlib
import fcntl
import io
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, TypeVar, cast

from classtoken.errors import OutputError, StoreError
from classtoken.extras import need
from classtoken.files import (
    UNFINISHED,
    flush_folder,
    link_or_copy,
    linked,
    remove_unfinished,
    user_path,
    whole_file,
    whole_folder,
    write_new,
)

T = TypeVar("T")
#: How often a store is asked, and the seconds before it is asked a second time; each further wait is twice as long.
ATTEMPTS, PAUSE = 5, 0.2
#: Copies that a store makes at once.
COPIES = 8
#: Answers that asking again would not change.
FINAL = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
#: What stores say of a file that is another when its contents are, the first that is there: S3, Google, Hugging Face.
TAGS = ("ETag", "etag", "md5Hash", "blob_id")
#: `s3:/bucket` is what pathlib makes of `s3://bucket`.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?!/)")


class Lock(Protocol):
    """What keeps other runs out until it is closed."""

    def close(self) -> None: ...


class Place(Protocol):
    """A folder; names in it are relative, with `/` between folders."""

    @property
    def name(self) -> str:
        """What it is called, for messages."""

    def below(self, name: str) -> "Place":
        """A folder in it."""

    def sizes(self, below: str = "") -> Mapping[str, int]:
        """Every finished file in it, or below one of its folders, with its size; nothing where there is no folder."""

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises `FileNotFoundError`, and `OSError` for what cannot be read."""

    def open(self, name: str) -> BinaryIO:
        """A file to seek and read in."""

    def put(self, name: str, content: bytes) -> None:
        """A whole file, replacing what was there. Raises `OutputError`, as all that write do."""

    def put_file(self, name: str, path: Path) -> None:
        """A whole file out of one that lies here; afterwards that one may be gone."""

    def put_new(self, name: str, content: bytes) -> bool:
        """A whole file where there was none; False where there is one, which stays."""

    def copy(self, names: Mapping[str, str]) -> None:
        """Files under other names too, replacing what was there; when this returns they are there to stay."""

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""

    def lock(self, name: str, *, shared: bool = False) -> Lock | None:
        """Keep other runs out, or with `shared` those that want to be alone; None when somebody else is there."""


def place_of(name: str | Path | Place) -> Place:
    """The folder that a user calls so: a path, or a URL of a store. Raises `MissingExtra` without fsspec."""
    if hasattr(name, "sizes"):
        return cast(Place, name)
    url = url_of(name)
    return LocalPlace(user_path(name)) if url is None else RemotePlace(url)


def url_of(name: object) -> str | None:
    """The URL that a name is, as text or as the path that pathlib made of it; None for a path of this machine."""
    found = _URL.match(str(name)) if isinstance(name, str | Path) else None
    return None if found is None else f"{found[1]}://{str(name)[found.end() :]}".rstrip("/")


@dataclass(frozen=True)
class LocalPlace:
    """A folder of this machine."""

    path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return self.path.as_posix()

    def below(self, name: str) -> "LocalPlace":
        """See `Place.below`."""
        return LocalPlace(self.path / name)

    def sizes(self, below: str = "") -> Mapping[str, int]:
        """See `Place.sizes`."""
        return dict(_walk(self.path / below, f"{below}/" if below else ""))

    def read(self, name: str) -> bytes:
        """See `Place.read`."""
        return (self.path / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """See `Place.open`."""
        return (self.path / name).open("rb")

    def put(self, name: str, content: bytes) -> None:
        """See `Place.put`."""
        with self._writing(name) as path, whole_file(path) as temporary:
            temporary.write_bytes(content)

    def put_file(self, name: str, path: Path) -> None:
        """See `Place.put_file`."""
        with self._writing(name) as target:
            if target.exists() and target.samefile(path):  # a rename onto another link of the same file does nothing
                return
            with whole_file(target) as temporary:
                temporary.unlink()
                link_or_copy(path, temporary)

    def put_new(self, name: str, content: bytes) -> bool:
        """See `Place.put_new`."""
        with self._writing(name) as path:
            return write_new(path, content)

    def copy(self, names: Mapping[str, str]) -> None:
        """See `Place.copy`: links where the file system has them, so that what is known costs nothing."""
        folders = set()
        for name, to in names.items():
            with self._writing(to) as target:
                if linked(self.path / name, target):
                    folders.add(target.parent)
                    continue
            self.put_file(to, self.path / name)
        for folder in folders:
            flush_folder(folder)

    def delete(self, name: str) -> None:
        """See `Place.delete`."""
        with self._writing(name) as path:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # folders below that hold nothing more go too
                for folder in path.parents[: len(Path(name).parts) - 1]:
                    folder.rmdir()

    def lock(self, name: str, *, shared: bool = False) -> Lock | None:
        """See `Place.lock`."""
        with self._writing(name) as path:
            handle: IO[str] = path.open("w")
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        except OSError:  # a file system without locks
            pass
        return handle

    def tidy(self) -> None:
        """Remove what killed processes had begun to write, here and below."""
        for folder in (self.path, *(path for path in self.path.rglob("*") if path.is_dir())):
            remove_unfinished(folder)

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written ({error.strerror}); free space, or give another folder."
            ) from error


@dataclass(frozen=True)
class RemotePlace:
    """A folder of a store: what is put has its name at once and whole, and there are no locks."""

    url: str

    @property
    def name(self) -> str:
        """Its URL."""
        return self.url

    def below(self, name: str) -> "RemotePlace":
        """See `Place.below`."""
        return RemotePlace(f"{self.url}/{name}")

    def sizes(self, below: str = "") -> Mapping[str, int]:
        """See `Place.sizes`."""
        store, root = self._store()

        def listed() -> Mapping[str, Any]:
            store.invalidate_cache()
            with contextlib.suppress(FileNotFoundError):  # not even a bucket
                return cast(Mapping[str, Any], store.find(f"{root}/{below}" if below else root, detail=True))
            return {}

        found = ask_store(self.url, listed)
        return {name[len(root) :].lstrip("/"): entry["size"] for name, entry in found.items()}

    def read(self, name: str) -> bytes:
        """See `Place.read`."""
        store, root = self._store()
        return cast(bytes, ask_store(f"{self.url}/{name}", lambda: store.cat_file(f"{root}/{name}")))

    def open(self, name: str) -> BinaryIO:
        """See `Place.open`."""
        store, root = self._store()
        url = f"{self.url}/{name}"
        return cast(BinaryIO, _AskedFile(url, ask_store(url, lambda: store.open(f"{root}/{name}", "rb"))))

    def put(self, name: str, content: bytes) -> None:
        """See `Place.put`."""
        store, root = self._store()
        ask_store(f"{self.url}/{name}", lambda: store.pipe_file(f"{root}/{name}", content), writing=True)

    def put_file(self, name: str, path: Path) -> None:
        """See `Place.put_file`."""
        store, root = self._store()
        ask_store(f"{self.url}/{name}", lambda: store.put_file(str(path), f"{root}/{name}"), writing=True)

    def put_new(self, name: str, content: bytes) -> bool:
        """See `Place.put_new`; a put of ours that the store answered with an error is known by what it holds."""
        store, root = self._store()
        try:
            ask_store(
                f"{self.url}/{name}",
                lambda: store.pipe_file(f"{root}/{name}", content, mode="create"),
                writing=True,
            )
        except FileExistsError:
            return self.read(name) == content
        return True

    def copy(self, names: Mapping[str, str]) -> None:
        """See `Place.copy`: the store copies, several files at a time."""
        store, root = self._store()

        def one(pair: tuple[str, str]) -> None:
            name, to = pair
            ask_store(f"{self.url}/{to}", lambda: store.cp_file(f"{root}/{name}", f"{root}/{to}"), writing=True)

        with ThreadPoolExecutor(COPIES) as pool:
            list(pool.map(one, names.items()))

    def delete(self, name: str) -> None:
        """See `Place.delete`."""
        store, root = self._store()

        def gone() -> None:
            with contextlib.suppress(FileNotFoundError):
                store.rm_file(f"{root}/{name}")

        ask_store(f"{self.url}/{name}", gone, writing=True)

    def lock(self, name: str, *, shared: bool = False) -> Lock | None:
        """Nobody is kept out: of two runs each receipt is the first one's, and what the other has put is garbage."""
        return _NoLock()

    def _store(self) -> tuple[Any, str]:
        store, root = store_of(self.url)
        return store, root.rstrip("/")


class _AskedFile(io.RawIOBase):
    """A file of a store, open to be read: what cannot be fetched is asked for again, from the same place on."""

    def __init__(self, url: str, file: Any):
        self._url, self._file = url, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def read(self, size: int | None = -1) -> bytes:
        return cast(bytes, ask_store(self._url, lambda: self._file.read(-1 if size is None else size)))

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _NoLock:
    def close(self) -> None:
        """Nothing was taken."""


def store_of(url: str) -> tuple[Any, str]:
    """The store of a URL, as fsspec opens it, and the path in it. Raises `OutputError` for a kind that is not known."""
    fsspec = need("fsspec", f"'{url}'")
    try:
        store, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise OutputError(f"'{url}' needs a package that is not installed: {error}.") from error
    except ValueError as error:
        raise OutputError(f"'{url}' cannot be opened: {error}; give a path, or a URL such as s3://bucket/x.") from error
    return store, str(root)


def fetch_folder(url: str, patterns: Sequence[str]) -> Path:
    """A copy of a folder of a store in the cache of this machine, made when none of the same files is there.

    Raises `OutputError` where the cache cannot be written, `OSError` where the store cannot be read.
    """
    store, root = store_of(url)
    found = ask_store(url, lambda: store.find(root, detail=True))
    files = {path[len(root) :].lstrip("/"): about for path, about in sorted(found.items())}
    files = {name: about for name, about in files.items() if any(fnmatch(name, pattern) for pattern in patterns)}
    stamp = [url, [[name, about["size"], tag_of(about)] for name, about in files.items()]]
    key = blake2b(repr(stamp).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "classtoken" / key
    if not files:
        raise OutputError(f"there are no files of a model at '{url}'; check the URL.")
    if not cache.is_dir():
        with whole_folder(cache) as folder:
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                ask_store(url, partial(store.get_file, f"{root}/{name}", str(folder / name)))
    return cache


def tag_of(about: Mapping[str, Any]) -> str:
    """Tells contents of a file apart: the store's own tag, or else all that it says of the file, its time among it."""
    known = (about[name] for name in TAGS if about.get(name))
    return str(next(known, sorted((name, str(value)) for name, value in about.items() if name != "name")))


def ask_store(what: str, ask: Callable[[], T], *, writing: bool = False) -> T:
    """What a store answers, asked again after errors that may pass.

    Raises `FINAL` as they come. For what is denied, and after `ATTEMPTS` times for anything else, `OutputError` where
    something was `writing`, `StoreError` elsewhere; where something was `writing` also for a bucket that there is not.
    """
    done = "written" if writing else "read"
    kind = OutputError if writing else StoreError
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except FINAL as error:
            if writing and not isinstance(error, FileExistsError):
                raise kind(f"{what} cannot be {done} ({_said(error)}); check the URL.") from error
            raise
        except PermissionError as error:
            raise kind(
                f"{what} may not be {done} ({_said(error)}); see to the rights and the keys for it, and run it again: "
                "what is finished is kept."
            ) from error
        except Exception as error:
            if attempt + 1 == ATTEMPTS:
                raise kind(
                    f"{what} cannot be {done} ({type(error).__name__}: {_said(error)}), asked {ATTEMPTS} times; what "
                    "is finished is kept, run it again."
                ) from error
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError("unreachable")


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(UNFINISHED):
            with contextlib.suppress(FileNotFoundError):  # removed by another writer just now
                yield prefix + entry.name, entry.stat().st_size
