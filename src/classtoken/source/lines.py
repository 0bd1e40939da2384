"""Lines of a UTF-8 file with the byte at which each begins: what .txt, .csv, .tsv and .jsonl share."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from classtoken.errors import SourceError

BOM = b"\xef\xbb\xbf"
_OTHER_MARKS = {b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be"}


class Lines:
    """Lines of one file from a byte onwards, with their line ends; `position` is where the next one begins.

    Ends are `\\n` and `\\r\\n` only, so that a text may hold the other signs that Unicode counts as line ends. A byte
    order mark at the start is skipped. `stamp()` is a hash of what was read.
    """

    def __init__(self, path: Path, offset: int = 0):
        self.path = path
        self.position = offset
        self.number = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def __iter__(self) -> Iterator[str]:
        with self.path.open("rb") as file:
            file.seek(self.position)
            for line in file:
                self._hash.update(line)
                begin, self.position = self.position, self.position + len(line)
                self.number += 1
                if begin == 0:
                    line = self._without_mark(line)
                try:
                    yield line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise self._not_utf8(line[error.start], begin + error.start) from None

    def stamp(self) -> str:
        """A hash of the bytes read so far."""
        return self._hash.hexdigest()

    def _without_mark(self, line: bytes) -> bytes:
        for mark, encoding in _OTHER_MARKS.items():
            if line.startswith(mark):
                raise SourceError(f"{self.path} is {encoding}, not UTF-8. {_cure(self.path, encoding)}")
        return line.removeprefix(BOM)

    def _not_utf8(self, byte: int, place: int) -> SourceError:
        return SourceError(
            f"{self.path} is not UTF-8: byte 0x{byte:02x} at {place}, line {self.number} from there. "
            f"{_cure(self.path, 'latin1')}"
        )


def _cure(path: Path, encoding: str) -> str:
    return f"Convert it: iconv -f {encoding} -t utf-8 {path.name} > utf8-{path.name} (with the encoding it really has)."


def strip_end(line: str) -> str:
    """A line without its line end."""
    return line.removesuffix("\n").removesuffix("\r")
