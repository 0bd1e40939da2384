"""What a program holds as a source: every shape of it, and a hash that says whether it is the same work."""

import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import classtoken as ct
from classtoken.errors import SourceError
from classtoken.source import SourceOptions, make_plan, open_source
from classtoken.source.contents import KnownContents, content_of

PICTURE = np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)


class Series:
    """As pandas has a column."""

    name = "body"

    def __init__(self, values: list[Any]):
        self._values = values

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def tolist(self) -> list[Any]:
        return self._values


class Frame:
    """As pandas has a table: iterating gives the names of columns."""

    iloc = None

    def __init__(self, columns: dict[str, list[Any]]):
        self.columns, self._columns = list(columns), columns

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.columns)

    def items(self) -> Iterator[tuple[str, Series]]:
        return iter((name, self[name]) for name in self.columns)

    def __getitem__(self, name: str) -> Series:
        return Series(self._columns[name])


class Feature:
    def __init__(self, names: list[str] | None = None):
        if names:
            self.names = names


class Dataset:
    """As `datasets` has a table with classes."""

    def __init__(self, table: pa.Table):
        self.features = {"text": Feature(), "label": Feature(["cat", "dog"])}
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    def with_format(self, name: str) -> pa.Table:
        assert name == "arrow"

        class Whole:
            def __getitem__(_, rows: slice) -> pa.Table:
                return self._table

        return Whole()


@pytest.mark.parametrize(
    "given",
    [
        ["a", "b"],
        ("a", "b"),
        iter(["a", "b"]),
        np.array(["a", "b"]),
        Series(["a", "b"]),
        pa.array(["a", "b"]),
        pa.table({"text": ["a", "b"]}),
        {"text": ["a", "b"]},
        {"text": np.array(["a", "b"])},
        Frame({"text": ["a", "b"]}),
        [{"text": "a"}, {"text": "b"}],
        Dataset(pa.table({"text": ["a", "b"], "label": [0, 1]})),
    ],
)
def test_texts(given: Any) -> None:
    records = list(open_source(given).records())
    assert [(record.id, record.text) for record in records] == [("0", "a"), ("1", "b")]


def test_classes_of_datasets_have_their_names() -> None:
    source = open_source(Dataset(pa.table({"text": ["a", "b", "c"], "label": [0, 1, -1]})))
    assert [record.label for record in source.records()] == ["cat", "dog", None]


def test_images(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    path = tmp_path / "a.png"
    given = [path, str(path), PICTURE, Image.fromarray(PICTURE), path.read_bytes()]
    records = list(open_source(given).records())
    assert all(record.image is not None and record.text is None for record in records)
    embedder = ct.load("builtin:photos")
    assert ct.embed(embedder, given, tmp_path / "out").rows == 5
    (found,) = ct.read(tmp_path / "out").arrays.values()
    np.testing.assert_allclose(found, np.repeat(embedder.embed(PICTURE), 5, 0), atol=1e-5)
    assert [len(list(open_source(one).records())) for one in (PICTURE, Image.fromarray(PICTURE))] == [1, 1]


def test_columns_are_named_carried_and_missing_values_are_none() -> None:
    options = SourceOptions(text_column="body", label_column="kind")
    given = Frame({"body": ["a", float("nan"), "c"], "kind": ["x", "y", float("nan")], "n": [1, 2, 3]})
    source = open_source(given, options)
    assert make_plan(source).listing.meta == {"n": pa.int64()}
    refused: list[Any] = []
    records = list(source.records(refused))
    assert [(record.text, record.label, record.meta["n"]) for record in records] == [("a", "x", 1), ("c", None, 3)]
    assert "nothing in the column 'body'" in refused[0].reason


def test_the_same_contents_are_the_same_work(tmp_path: Path) -> None:
    rows = {"text": ["cat", "dog", "bird"]}
    first = ct.embed("builtin:sentiment", rows, tmp_path / "out", part_rows=2)
    again = ct.embed("builtin:sentiment", {"text": ["cat", "dog", "bird"]}, tmp_path / "out", part_rows=2)
    assert (first.rows, first.before, again.before) == (3, 0, 3)
    with pytest.raises(ct.errors.ManifestMismatch):
        ct.embed("builtin:sentiment", {"text": ["cat", "dog", "BIRD"]}, tmp_path / "out", part_rows=2)
    others: list[list[Any]] = [["a"], [b"a"], ["b"], [["a"]], [{"text": "a", "n": 1}]]
    others += [[PICTURE], [PICTURE[:, ::-1]], [Image.fromarray(PICTURE)]]
    hashes = {make_plan(open_source(given)).hash for given in others}
    assert len(hashes) == 8


def test_a_picture_that_cannot_be_decoded_costs_nobody_else_anything(tmp_path: Path) -> None:
    whole = BytesIO()
    Image.fromarray(PICTURE).save(whole, "PNG")
    cut = Image.open(BytesIO(whole.getvalue()[:-60]))  # which Pillow opens
    closed = Image.fromarray(PICTURE)
    closed.close()
    result = ct.embed("builtin:photos", [Image.fromarray(PICTURE), cut, closed], tmp_path / "out")
    assert (result.rows, [entry.id for entry in result.examples]) == (1, ["1", "2"])


def test_pictures_of_the_same_numbers_and_other_colours_are_other_pictures() -> None:
    def hash_of(picture: Image.Image) -> str:
        return make_plan(open_source([picture])).hash

    grey, red, turned = (Image.fromarray(PICTURE[:, :, 0]).convert("P") for _ in range(3))
    red.putpalette([number for value in range(256) for number in (value, 0, 0)])
    turned.getexif()[0x0112] = 6
    assert len({hash_of(picture) for picture in (grey, red, turned)}) == 3
    assert hash_of(grey) == hash_of(grey.copy())


def test_a_time_that_python_has_no_value_for_is_named_with_its_column(tmp_path: Path) -> None:
    table = pa.table({"text": ["a"], "until": pa.array([10**18], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "a.parquet")
    for given in (table, tmp_path / "a.parquet"):
        with pytest.raises(SourceError, match=r"the column 'until' of .* \(timestamp\[us\]\) holds what Python cannot"):
            list(open_source(given).records())


def test_every_verb_takes_them(tmp_path: Path) -> None:
    data = {"text": ["good film", "bad film"] * 6, "label": ["1", "0"] * 6}
    assert ct.predict("builtin:sentiment", data, tmp_path / "labelled").records == 12
    trained = ct.train("builtin:sentiment", data, tmp_path / "model", held_out=0.0)
    assert set(trained.labels) == {"0", "1"}


@pytest.mark.parametrize(
    ("columns", "name"),
    [(["text", "text"], "text"), (["text", "n", "n"], "n"), (["text", 1, "1"], "1"), (["text", "n", "n", "n"], "n")],
)
def test_a_column_that_is_there_twice_is_refused(columns: list[Any], name: str, tmp_path: Path) -> None:
    """The column's own name was taken for the text of every row."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([["a"] * len(columns), ["b"] * len(columns)], columns=columns)
    with pytest.raises(SourceError, match=f"DataFrame of 2 has the column '{name}' more than once; rename one of them"):
        make_plan(open_source(frame))
    table = pa.table([["a", "b"]] * len(columns), names=list(map(str, columns)))
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=f"a.parquet has the column '{name}' more than once"):
        make_plan(open_source(tmp_path / "a.parquet"))
    with pytest.raises(SourceError, match=f"has the column '{name}' more than once"):
        make_plan(open_source(table))


def test_names_that_are_one_as_texts_are_refused() -> None:
    with pytest.raises(SourceError, match="dict of 1 has the column '1' more than once"):
        make_plan(open_source({"text": ["a"], 1: [1], "1": [2]}))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (3.5, "float is no source"),
        ({"a", "b"}, "set is no source"),
        ({"text": "one"}, "'text' of a dict is one str"),
        ({"text": ["a"], "n": [1, 2]}, "'text' has 1, 'n' has 2"),
        ({"body": ["a"]}, "no column text.*it has 'body'"),
        ([], "no records"),
    ],
)
def test_what_is_no_source_is_called_by_its_name(given: Any, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        make_plan(open_source(given))


@pytest.mark.parametrize(
    "given",
    [
        PICTURE.transpose(2, 0, 1),  # was three grey pictures
        PICTURE[..., :2],
        PICTURE.transpose(2, 0, 1)[None],
        PICTURE[None, None],
        np.arange(5.0),
        np.array(5),
        np.array("a text"),
        np.array([["a", "b"]]),
        np.array([["a", "b"]], dtype=object),
    ],
)
def test_an_array_whose_records_are_not_plain_is_refused(given: np.ndarray) -> None:
    with pytest.raises(SourceError, match="is no source; allowed are one picture") as caught:
        open_source(given)
    assert "\n" not in str(caught.value)


def test_arrays_of_pictures_have_the_records_on_their_first_axis() -> None:
    grey = PICTURE[..., 0]
    for given, count in ((PICTURE, 1), (grey, 1), (np.stack([PICTURE] * 2), 2), ([grey] * 3, 3)):
        assert len(list(open_source(given).records())) == count


HASHED = """
import numpy as np
from classtoken.source import make_plan, open_source
words = np.array(["word " * 3, "another " * 3, np.array(["deeper " * 2, None], dtype=object)], dtype=object)
print(make_plan(open_source({"text": ["a"], "tags": [words], "set": [{"aa", "bb", "cc", "dd"}]})).hash)
"""


def test_the_same_contents_have_the_same_hash_in_every_process() -> None:
    """A list in a column of Parquet's is an array of objects in pandas."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", HASHED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in "12"
    ]
    assert len({run.stdout for run in runs}) == 1
    others = [np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object)]
    assert len({make_plan(open_source({"text": ["a"], "tags": [tags]})).hash for tags in others}) == 2


def test_pictures_in_memory_are_known_by_what_they_show() -> None:
    """Of Pillow's, and arrays that are views of others: copies are known, and what is another picture is another."""
    same = [PICTURE, PICTURE.copy(), np.asfortranarray(PICTURE), PICTURE[::-1][::-1]]
    shown = [Image.fromarray(PICTURE), Image.fromarray(PICTURE.copy())]
    others = [PICTURE[::-1], PICTURE.reshape(12, 48, 3), Image.fromarray(PICTURE[::-1])]
    for known in (content_of, KnownContents(open_source([PICTURE]), "image")._content):
        found = [
            [known(record).hash for record in open_source(given).records()]  # type: ignore[union-attr]
            for given in (same, shown, others)
        ]
        assert [len(set(hashes)) for hashes in found] == [1, 1, 3]
        assert not {found[0][0], found[1][0]} & set(found[2])


@pytest.mark.slow
def test_pictures_of_pillow_are_learned_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (24, 24, 3), dtype=np.uint8) for _ in range(12)]
    rows = {"image": [Image.fromarray(array) for array in arrays], "label": ["a", "b"] * 6}
    found = ct.train("builtin:photos", rows, tmp_path / "pillow")
    assert found.scores == ct.train("builtin:photos", rows | {"image": arrays}, tmp_path / "arrays").scores


def test_an_update_computes_the_pictures_that_are_others(tmp_path: Path) -> None:
    whole = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1]), PICTURE[:, ::-1]]
    ct.embed("builtin:photos", whole, tmp_path / "out")
    found = ct.embed("builtin:photos", [whole[0], whole[2], PICTURE], tmp_path / "out", update=True)
    assert found.computed == 1
    (vectors,) = ct.read(tmp_path / "out").arrays.values()
    expected = ct.load("builtin:photos").embed([whole[0], whole[2], PICTURE])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
