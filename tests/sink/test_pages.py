"""Numbers that are copied out of a file's pages are those that pyarrow reads; what is not plain is left to it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.nearest.made import folder_of

from classtoken.errors import OutputError
from classtoken.sink import read
from classtoken.sink.pages import NotPlain, plain_numbers

MATRIX = np.random.default_rng(0).standard_normal((3000, 70)).astype(np.float32)


def written(
    path: Path, matrix: np.ndarray = MATRIX, nulls: bool = False, **options: object
) -> tuple[pq.ParquetFile, pa.Buffer]:
    flat = pa.array(matrix.reshape(-1), mask=(np.arange(matrix.size) == 7) if nulls else None)
    vectors = pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])
    table = pa.table({"id": [str(n) for n in range(len(matrix))], "cls": vectors, "text": ["x"] * len(matrix)})
    usual = {"compression": "none", "use_dictionary": False}
    pq.write_table(table, path, **{**usual, **options})  # type: ignore[arg-type]
    content = pa.py_buffer(path.read_bytes())
    return pq.ParquetFile(pa.BufferReader(content)), content


@pytest.mark.parametrize(
    "options",
    [{}, {"data_page_size": 5000}, {"row_group_size": 999}, {"write_statistics": False}, {"write_page_checksum": True}],
)
def test_the_numbers_of_all_pages_and_groups(tmp_path: Path, options: dict) -> None:
    np.testing.assert_array_equal(plain_numbers(*written(tmp_path / "a.parquet", **options), "cls", 70), MATRIX)


@pytest.mark.parametrize(
    "options",
    [{"compression": "zstd"}, {"use_dictionary": True}, {"data_page_version": "2.0"}, {"nulls": True},
     {"column_encoding": {"cls.list.element": "BYTE_STREAM_SPLIT"}}, {"matrix": MATRIX.astype(np.float64)}],
)  # fmt: skip
def test_what_is_not_plain_is_refused(tmp_path: Path, options: dict) -> None:
    with pytest.raises(NotPlain):
        plain_numbers(*written(tmp_path / "a.parquet", **options), "cls", 70)


def test_damaged_pages_are_never_numbers(tmp_path: Path) -> None:
    file, content = written(tmp_path / "a.parquet", data_page_size=5000)
    start = file.metadata.row_group(0).column(1).data_page_offset
    for place in range(start, start + 40):  # the first header and its levels
        damaged = bytearray(content.to_pybytes())
        damaged[place] ^= 0x15
        try:
            found = plain_numbers(file, pa.py_buffer(bytes(damaged)), "cls", 70)
        except NotPlain:
            continue
        assert found.shape == MATRIX.shape
        assert (found != MATRIX).sum() <= 1  # a number itself, or a byte that nobody reads


def test_a_folder_is_read_so_and_errors_are_the_readers_own(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "made", MATRIX, part_rows=700)
    vectors = read(folder)
    np.testing.assert_array_equal(vectors.matrix("cls"), MATRIX)
    assert vectors.numbers(1, "cls").flags.owndata or vectors.numbers(1, "cls").base.flags.owndata
    vectors.files[1].write_bytes(b"nothing")
    with pytest.raises(OutputError, match="cannot be read"):
        vectors.matrix("cls")
