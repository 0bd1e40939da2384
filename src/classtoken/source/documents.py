"""Text files: a folder with everything below it, a record each."""

import codecs
from pathlib import Path

from classtoken.source.base import Entry
from classtoken.source.folders import FilesBelow
from classtoken.source.lines import unmarked
from classtoken.values import Record, Rejected

#: Suffixes of files that hold one text.
SUFFIXES = frozenset({".markdown", ".md", ".rst", ".text", ".txt"})
LARGEST = 64 << 20
"""bytes of a file that is read as one text"""


class Documents(FilesBelow):
    """Text files, a record each: UTF-8 with or without its mark, UTF-16 with its mark, or what `encoding` says."""

    kind = "documents"
    what = "texts"
    suffixes = SUFFIXES

    def record(self, id: str, file: Path, label: str | None) -> Entry:
        try:
            size = file.stat().st_size
            content = file.read_bytes() if size <= LARGEST else b""
        except OSError as error:
            return Rejected(id, f"cannot be read ({error.strerror})", passing=True)
        if size > LARGEST:
            return Rejected(id, f"has {size >> 20} MB; a file of one text has at most {LARGEST >> 20}")
        marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if not (marked or self.options.encoding) and (likely := unmarked(content[:2])):
            return Rejected(id, f"has NUL bytes, as {likely.upper()} has without its mark; say what it is (`encoding`)")
        encoding = self.options.encoding or ("utf-16" if marked else "utf-8-sig")
        try:
            text = content.decode(encoding)
        except UnicodeError as error:
            return Rejected(
                id, f"is not {encoding.removesuffix('-sig').upper()} ({error}); say what it is (`encoding`)"
            )
        return Record(id=id, text=text, label=label) if text.strip() else Rejected(id, "is empty")
