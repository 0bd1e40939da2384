"""Lines of a file with the byte at which each begins: what .txt, .csv, .tsv and .jsonl share."""

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from classtoken.errors import OptionError, SourceError

HEAD = 1 << 16
"""bytes in which a file shows how its lines end"""
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def _zstd(path: Path) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.OSFile(os.fsencode(path)), "zstd")))


#: Suffix of a packed file -> how it is opened; it is unpacked as it is read.
PACKED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zstd}


def kind_of(path: Path) -> str:
    """The suffix that says what a file holds, in lower case: `.csv` of `a.csv.gz` too."""
    packed = path.suffix.lower() in PACKED
    return Path(path.stem).suffix.lower() if packed else path.suffix.lower()


class Lines:
    """Lines of one file from a byte onwards, with their line ends; `position` is where the next one begins.

    Ends are `\\n` and `\\r\\n`, or in a file without any `\\n` near its beginning `\\r`, so that a text may hold the
    other signs that Unicode counts as line ends. Bytes are counted in the file unpacked and in UTF-8; a byte order mark
    at the start is skipped. UTF-16 is known by its mark; any other `encoding` must be named. `stamp()` hashes what was
    read.
    """

    def __init__(self, path: Path, offset: int = 0, encoding: str | None = None):
        self.path = path
        self.position = offset
        self.encoding = encoding
        self.number = 0
        self._hash, self._since = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)

    def __iter__(self) -> Iterator[str]:
        for line in self._bytes(self.position):
            self._hash.update(line)
            self._since.update(line)
            begin, self.position = self.position, self.position + len(line)
            self.number += 1
            if begin == 0:
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise self._not_utf8(line[error.start], begin + error.start) from None

    def stamp(self) -> str:
        """A hash of the bytes read so far."""
        return self._hash.hexdigest()

    def stamp_since(self) -> str:
        """A hash of the bytes read since this was asked last."""
        read, self._since = self._since, hashlib.blake2b(digest_size=16)
        return read.hexdigest()

    def _bytes(self, offset: int) -> Iterator[bytes]:
        """Lines in UTF-8 from a byte on; where the file cannot be sought in, what stands before is read too."""
        packed = PACKED.get(self.path.suffix.lower())
        try:
            with packed(self.path) if packed else self.path.open("rb") as file:
                start = file.peek(2)[:2]
                encoding = self.encoding or _MARKS.get(start)
                if encoding is None and (likely := unmarked(start)):
                    raise SourceError(
                        f"{self.path} has NUL bytes, as {likely.upper()} without its mark has: say what it is with "
                        f"`encoding` ({likely})."
                    )
                if encoding is None and not packed:
                    old_ends = _only_carriage_returns(file)
                    file.seek(offset)
                    yield from _with_new_ends(file) if old_ends else file
                    return
                passed = 0
                for line in file if encoding is None else _recoded(file, encoding):
                    if passed >= offset:
                        yield line
                    passed += len(line)
        except UnicodeError as error:
            raise SourceError(f"{self.path} is not {self.encoding or 'UTF-16'} ({error}); say what it is.") from None
        except (EOFError, OSError, lzma.LZMAError, zlib.error, pa.ArrowException) as error:
            if not packed:
                why = getattr(error, "strerror", None) or error
                raise SourceError(
                    f"{self.path} cannot be read ({why}); is it still there, and may you read it?"
                ) from None
            raise SourceError(f"{self.path} cannot be unpacked ({error}); is it whole?") from None

    def _not_utf8(self, byte: int, place: int) -> SourceError:
        name = self.path.name
        return SourceError(
            f"{self.path} is not UTF-8: byte 0x{byte:02x} at {place}, line {self.number} from there. Say what it is "
            "with `encoding` (Excel in the West writes cp1252), or convert it: "
            f"iconv -f latin1 -t utf-8 {name} > utf8-{name} (with the encoding it really has)."
        )


def unmarked(start: bytes) -> str | None:
    """The encoding that a text without a mark most likely has by its first two bytes, where it is UTF-16; None else.

    Letters of ASCII have a NUL byte there, which no text in UTF-8 begins with."""
    found = {(True, False): "utf-16-be", (False, True): "utf-16-le"}
    return found.get((start[:1] == b"\0", start[1:2] == b"\0"))


def _only_carriage_returns(file: BinaryIO) -> bool:
    """Whether lines end as they did on Macintoshes before 2001, and as Excel still writes `CSV (Macintosh)`."""
    head = file.read(HEAD)
    return b"\r" in head and b"\n" not in head


def _with_new_ends(file: BinaryIO) -> Iterator[bytes]:
    """Lines that end in a carriage return alone, each of the same length with a line feed."""
    begun = b""
    while block := file.read(HEAD):
        *whole, begun = (begun + block).split(b"\r")
        yield from (line + b"\n" for line in whole)
    if begun:
        yield begun


def _recoded(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    try:
        text = io.TextIOWrapper(file, encoding, newline="\n")
    except LookupError:
        raise OptionError(f"`encoding` is '{encoding}', which is not known; give utf-8, cp1252, utf-16 ...") from None
    with text:
        for line in text:
            yield line.encode("utf-8", "surrogatepass")


def strip_end(line: str) -> str:
    """A line without its line end."""
    return line.removesuffix("\n").removesuffix("\r")
