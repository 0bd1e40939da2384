"""The numbers of a column of vectors, copied out of the pages of a Parquet file.

Vectors are written plain and uncompressed, so their bytes lie one after another in the file, page by page. A reader of
any Parquet there is works through a level for each number, which takes ten times as long as the copying; so where a
column is as we write it, its pages are read here, and anything else is left to such a reader. What is copied is counted
against what the file's footer says, number by number.

Page header (Thrift's compact protocol) and layout of a data page: https://parquet.apache.org/docs/file-format/
"""

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DATA_PAGE, PLAIN = 0, 0
# Of a page header: its type, the bytes after it, and what it says of a data page; of that, the values and encoding.
TYPE, BYTES, DATA = 1, 3, 5
VALUES, ENCODING = 1, 2
STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12


class NotPlain(Exception):
    """A column that is not of plain numbers, one after another."""


def plain_numbers(file: pq.ParquetFile, buffer: pa.Buffer, column: str, size: int) -> np.ndarray:
    """The vectors (rows, size) of a column in 32 bits, from the bytes of its file. Raises `NotPlain`."""
    footer = file.metadata
    found = np.empty(footer.num_rows * size, dtype="<f4")
    at = 0
    for group in range(footer.num_row_groups):
        chunks = (footer.row_group(group).column(n) for n in range(footer.num_columns))
        chunk = next((one for one in chunks if one.path_in_schema.partition(".")[0] == column), None)
        if chunk is None or (chunk.physical_type, chunk.compression, chunk.has_dictionary_page) != (
            "FLOAT",
            "UNCOMPRESSED",
            False,
        ):
            raise NotPlain(column)
        begin = chunk.data_page_offset
        pages = memoryview(buffer).cast("B")[begin : begin + chunk.total_compressed_size]
        at = _copied(pages, found, at)
    if at != len(found):
        raise NotPlain(column)
    return found.reshape(footer.num_rows, size)


def _copied(pages: memoryview, found: np.ndarray, at: int) -> int:
    """Copy the numbers of all pages of a chunk to `found[at:]`; where they end."""
    place = 0
    while place < len(pages):
        try:
            header, place = _struct(pages, place)
            data, length = header[DATA], header[BYTES]
            if header[TYPE] != DATA_PAGE or data[ENCODING] != PLAIN:
                raise NotPlain(header)
            start = place
            for _ in ("levels of repetition", "levels of definition"):
                (bytes_of_levels,) = struct.unpack_from("<I", pages, start)
                start += 4 + bytes_of_levels
            count = data[VALUES]
        except (KeyError, IndexError, TypeError, struct.error) as error:
            raise NotPlain(str(error)) from error
        place += length
        # With fewer numbers than levels some are null, which is no vector.
        if place - start != 4 * count or at + count > len(found) or place > len(pages):
            raise NotPlain(count)
        found[at : at + count] = np.frombuffer(pages, "<f4", count, start)
        at += count
    return at


def _struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """A struct in Thrift's compact protocol: field -> value, and where it ends."""
    found: dict[int, Any] = {}
    field = 0
    while True:
        head = data[at]
        at += 1
        kind = head & 15
        if kind == STOP:
            return found, at
        if head >> 4:
            field += head >> 4
        else:
            field, at = _whole(data, at)
        found[field], at = _value(data, at, kind)


def _value(data: memoryview, at: int, kind: int) -> tuple[Any, int]:
    if kind in (TRUE, FALSE):
        return kind == TRUE, at
    if kind == STRUCT:
        return _struct(data, at)
    if kind == BYTE:
        return data[at], at + 1
    if kind == DOUBLE:
        return None, at + 8
    if kind == BINARY:
        length, at = _varint(data, at)
        return None, at + length
    if kind in (LIST, SET):
        count, inner = data[at] >> 4, data[at] & 15
        at += 1
        if count == 15:
            count, at = _varint(data, at)
        for _ in range(count):
            _, at = _value(data, at + (inner in (TRUE, FALSE)), inner)
        return None, at
    return _whole(data, at)


def _whole(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        part = data[at]
        at += 1
        value |= (part & 127) << shift
        if part < 128:
            return value, at
        shift += 7
