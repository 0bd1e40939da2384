"""Image files: a folder with everything below it, or the files that a glob names."""

from pathlib import Path

from classtoken.source.base import IMAGES, Entry
from classtoken.source.folders import FilesBelow
from classtoken.values import Record

#: Suffixes of the formats that are decoded; a file of another kind in a folder of images is left out and counted.
SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)


class Images(FilesBelow):
    """Image files, a record each; decoding is left to the stage that needs pixels."""

    kind = IMAGES
    what = "images"
    suffixes = SUFFIXES

    def record(self, id: str, file: Path, label: str | None) -> Entry:
        return Record(id=id, image=file, label=label)
