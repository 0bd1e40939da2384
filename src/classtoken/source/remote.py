"""Sources in a store (`s3://`, `gs://`, `memory://` ...), as fsspec opens them.

Files of records are copied here when the source is opened, and go with it; a folder of images stays where it is, and
its files are fetched some at a time as they are read. In another process the source is opened anew.
"""

import hashlib
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pyarrow as pa

from classtoken.errors import SourceError, StoreError
from classtoken.places import ask_store, store_of, tag_of
from classtoken.source.base import IMAGES, Entry, Listing, Shard, Source, SourceAround, SourceOptions
from classtoken.source.folders import counted, file_id, folder_label
from classtoken.source.images import SUFFIXES
from classtoken.values import Record, Rejected

#: Images that are fetched at once.
AT_ONCE = 64


class RemoteImages(Source):
    """Image files below a URL, in the order of their paths. The id is the path below it, the label its first folder."""

    kind = IMAGES

    def __init__(self, url: str, options: SourceOptions):
        self.name = self.url = url
        self.options = options
        self._files: dict[str, tuple[int, str]] | None = None
        self._left_out: Counter[str] = Counter()

    def scan(self, every: int, limit: int | None = None) -> Listing:
        files = list(self.files.items())[:limit]
        digest = hashlib.blake2b(digest_size=16)
        for name, (size, tag) in files:
            digest.update(f"{name}\0{size}\0{tag}\n".encode("utf-8", "surrogateescape"))
        shard = Shard("", len(files), digest.hexdigest(), tuple(range(0, len(files), every)))
        notes = (f"left out of {self.name}: {counted(self._left_out)}.",) if self._left_out else ()
        return Listing((shard,), {"path": pa.string()}, notes)

    def beside(self) -> tuple[str, ...]:
        return ("label",)

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        names = list(self.files)
        store, root = store_of(self.url)
        given = None
        for begin in range(start, len(names), AT_ONCE):
            chunk = {f"{root}/{name}": name for name in names[begin : begin + AT_ONCE]}
            contents = store.cat(list(chunk), on_error="return")
            given = next((path for path, content in contents.items() if isinstance(content, bytes)), given)
            for path, name in chunk.items():
                content = contents.get(path)
                found = content if isinstance(content, bytes) else _asked_again(store, path, given)
                if isinstance(found, bytes):
                    meta = {"path": f"{self.url}/{name}"}
                    yield Record(id=file_id(name), image=found, label=folder_label(name), meta=meta)
                else:
                    yield Rejected(file_id(name), f"cannot be fetched ({found})", passing=True)

    @property
    def files(self) -> dict[str, tuple[int, str]]:
        """Size and tag of each image, by its path, listed once."""
        if self._files is None:
            store, root = store_of(self.url)
            found = ask_store(self.url, lambda: store.find(root, detail=True))
            names = {path[len(root) :].lstrip("/"): about for path, about in sorted(found.items())}
            self._files = {}
            for name, about in names.items():
                suffix = PurePosixPath(name).suffix.lower()
                if suffix in SUFFIXES:
                    self._files[name] = (about["size"], tag_of(about))
                else:
                    self._left_out[suffix or "without a suffix"] += 1
            if not self._files:
                raise SourceError(f"{self.url} holds no images; give a folder of images, or files of records by name.")
        return self._files


def _asked_again(store: Any, path: str, given: str | None) -> bytes | OSError:
    """A file that a store did not give, or why it does not give this one; `given` is one that it did give.

    Raises `StoreError` where it gives that one no longer, or has given none: nothing is wrong with the file then.
    """
    try:
        return cast(bytes, ask_store(store.unstrip_protocol(path), lambda: store.cat_file(path)))
    except StoreError as error:
        if given is None:
            raise
        ask_store(store.unstrip_protocol(given), lambda: store.cat_file(given))
        return error
    except OSError as error:  # it has gone
        return error


class RemoteFiles(SourceAround):
    """Files of records that were copied here; the copies go when the source does."""

    def __init__(
        self,
        url: str,
        options: SourceOptions,
        open_here: Callable[[str, SourceOptions], Source],
        known: Mapping[str, str] | None = None,
    ):
        """known: what the store said of each file (`tag_of`) when another process copied it; `SourceError` is raised
        where it says something else by now."""
        self._opened = (url, options, open_here)
        self.folder = Path(tempfile.mkdtemp(prefix="classtoken-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        store, path = store_of(url)
        many = "*" in path or "?" in path
        found = sorted(ask_store(url, lambda: store.glob(path))) if many else [path]
        names = [PurePosixPath(name).name for name in found]
        if len(set(names)) < len(names):
            raise SourceError(f"'{url}' names two files '{Counter(names).most_common(1)[0][0]}'; give one folder.")
        self.tags: dict[str, str] = {}
        for name, file in zip(names, found, strict=True):
            self.tags[name] = _tag(store, file)
            ask_store(url, partial(store.get_file, file, str(self.folder / name)))
            if _tag(store, file) != self.tags[name]:
                raise _changed(url)
        if known is not None and self.tags != known:
            raise _changed(url)
        if not names:
            raise SourceError(f"no file fits '{url}'; check the URL.")
        super().__init__(open_here(str(self.folder / (PurePosixPath(path).name if many else names[0])), options))
        self.name = url
        self.inner.copies = True

    def __reduce__(self) -> tuple[Any, ...]:
        url, _, open_here = self._opened
        return RemoteFiles, (url, self.options, open_here, self.tags)

    def read_as(self, remembered: Mapping[str, str]) -> None:
        self.inner.read_as(remembered)
        self.options = self.inner.options

    def scan(self, every: int, limit: int | None = None) -> Listing:
        listing = self.inner.scan(every, limit)
        local = self.folder.as_posix() + "/"
        shards = [replace(s, name=s.name.removeprefix(local)) for s in listing.shards]
        return replace(listing, shards=tuple(shards))

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        return self.inner.rows((self.folder / shard).as_posix(), start, first, offset)

    def state(self) -> tuple[tuple[int, ...], ...]:
        return ()  # copies, which are others in every process

    def ids(self, listing: Listing) -> Iterator[str]:
        return Source.ids(self, listing)


def _tag(store: Any, file: str) -> str:
    """What a store says of a file now."""

    def asked() -> str:
        store.invalidate_cache()
        return tag_of(store.info(file))

    return ask_store(file, asked)


def _changed(url: str) -> SourceError:
    return SourceError(f"{url} changed while it was being read; stop whatever writes to it and run again.")


def open_remote(url: str, options: SourceOptions, open_here: Callable[[str, SourceOptions], Source]) -> Source:
    """The source of a URL: a folder of images, or files of records. Raises `SourceError` when it is not there."""
    store, path = store_of(url)
    if "*" in path or "?" in path:
        return RemoteFiles(url, options, open_here)
    try:
        about = ask_store(url, lambda: store.info(path))  # `isfile` and `exists` take a store that is away for a no
    except FileNotFoundError:
        raise SourceError(f"there is nothing at '{url}'; check the URL.") from None
    return RemoteFiles(url, options, open_here) if about["type"] == "file" else RemoteImages(url, options)
