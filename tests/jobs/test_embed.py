"""A source turned into vectors: the embedder's own numbers, whatever the batches; and what is refused."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from tests import folders

import classtoken as ct
from classtoken.errors import ClasstokenError, ManifestMismatch, OptionError, SourceError, VectorRefused
from classtoken.results.embed import EmbedResult
from classtoken.run import cut
from classtoken.sink import verify

WORDS = ["the", "cat", "dog", "bird", "sits", "runs", "on", "a", "mat", "under", "red", "blue", "house", "far", "away"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_vit(tmp_path_factory.mktemp("vit"), pooler=False)


def texts(rows: int) -> list[str]:
    numbers = np.random.default_rng(0)
    return [" ".join(numbers.choice(WORDS, numbers.integers(1, 40))) for _ in range(rows)]


def write_texts(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def encoded(colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_texts_have_the_vectors_that_embed_gives(tmp_path: Path, bert: Path) -> None:
    rows = texts(50)
    result = ct.embed(
        bert, write_texts(tmp_path / "a.txt", rows), tmp_path / "out", pooling="cls,mean@-1", part_rows=20
    )
    found = ct.read(tmp_path / "out")
    expected = ct.load(bert).embed(rows, pooling="cls,mean@-1")
    assert list(found.arrays) == list(expected) == ["cls", "mean@-1"]
    for name, values in expected.items():
        np.testing.assert_allclose(found.arrays[name], values, atol=2e-6)
    assert result.cut == found.manifest.cut == sum(len(row.split()) > 30 for row in rows)
    assert (result.rows, result.parts, result.modality) == (50, 3, "text")
    long = [str(place) for place, row in enumerate(rows) if len(row.split()) > 30]
    assert [one.id for one in result.cut_texts] == long[:3]
    first = result.cut_texts[0]
    assert (first.tokens, first.read) == (len(rows[int(first.id)].split()) + 2, 32)
    assert f"longer than the 32 tokens that the model takes, and cut: {first}, " in str(result)
    again = ct.embed(bert, tmp_path / "a.txt", tmp_path / "out", pooling="cls,mean@-1", part_rows=20)
    assert [one.id for one in again.cut_texts] in ([], long[:3])
    assert EmbedResult.from_json(result.to_json()) == result
    assert verify(tmp_path / "out").ok


def test_the_tokens_of_a_huge_text_are_not_counted(tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take longer than the vectors themselves: minutes for 100 MB."""
    monkeypatch.setattr(cut, "COUNTED", 400)
    rows = ["the cat " * 50, "the dog " * 51]
    result = ct.embed(bert, write_texts(tmp_path / "a.txt", rows), tmp_path / "out")
    assert [(one.id, one.tokens) for one in result.cut_texts] == [("0", 102), ("1", None)]
    assert "cut: 0 (102 tokens, 70 of them left out), 1;" in str(result)


def test_images_have_the_vectors_that_embed_gives_and_bad_ones_are_said(tmp_path: Path, vit: Path) -> None:
    images = [{"bytes": encoded((i * 12, 250 - i * 12, 90), (30 + i, 40)), "path": None} for i in range(20)]
    images[3] = {"bytes": b"no image", "path": None}
    images[7] = {"bytes": images[8]["bytes"][:60], "path": None}
    images[9] = {"bytes": None, "path": "nowhere.png"}
    table = pa.table({"id": [f"i{i}" for i in range(20)], "image": images, "label": ["x", "y"] * 10, "n": range(20)})
    pq.write_table(table, tmp_path / "images.parquet")
    result = ct.embed(str(vit), tmp_path / "images.parquet", tmp_path / "out")
    found = ct.read(tmp_path / "out")
    good = [i for i in range(20) if i not in (3, 7, 9)]
    assert found.ids == tuple(f"i{i}" for i in good)
    expected = ct.load(vit).embed([images[i]["bytes"] for i in good])
    np.testing.assert_allclose(next(iter(found.arrays.values())), expected, atol=2e-6)
    assert found.column("label") == [["x", "y"][i % 2] for i in good]
    assert found.column("n") == good
    assert [entry.id for entry in result.examples] == ["i3", "i7", "i9"]
    assert result.refused == 3
    assert all(not entry.reason.startswith("i") for entry in result.examples), result.examples
    assert "3 refused" in str(result)


def test_a_folder_of_images_with_labels(tmp_path: Path, vit: Path) -> None:
    for name, colour in (("cat/a.png", (250, 0, 0)), ("dog/b.png", (0, 250, 0))):
        (tmp_path / "images" / name).parent.mkdir(parents=True)
        (tmp_path / "images" / name).write_bytes(encoded(colour))
    (tmp_path / "images" / "notes.md").write_text("x")
    result = ct.embed(vit, tmp_path / "images", tmp_path / "out", limit=1)
    assert (result.rows, result.total) == (1, 1)
    assert "1 .md" in result.notes[0]
    assert ct.read(tmp_path / "out").column("label") == ["cat"]


def test_a_run_goes_on_and_refuses_another_making(tmp_path: Path, bert: Path) -> None:
    source, out = write_texts(tmp_path / "a.txt", texts(30)), tmp_path / "out"
    ct.embed(bert, source, out, part_rows=10)
    before = ct.read(out).table
    (out / "_meta/receipts/00001.json").unlink()
    assert ct.embed(bert, source, out, part_rows=10).before == 20
    assert ct.read(out).table.equals(before)
    for change in ({"pooling": "max"}, {"normalize": True}, {"precision": "bf16"}, {"prompt_text": "query: "}):
        with pytest.raises(ManifestMismatch, match=r"holds vectors made with"):
            ct.embed(bert, source, out, part_rows=10, **change)
    other = folders.tiny_bert(tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][0] += 1
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ManifestMismatch, match=r"made with weights that differ"):
        ct.embed(other, source, out, part_rows=10)


def test_normalised_vectors_have_unit_length(tmp_path: Path, bert: Path) -> None:
    ct.embed(bert, write_texts(tmp_path / "a.txt", texts(5)), tmp_path / "out", pooling="mean", normalize=True)
    norms = verify(tmp_path / "out").norms["mean"]
    assert norms.smallest == pytest.approx(1, abs=1e-6)
    assert norms.largest == pytest.approx(1, abs=1e-6)


def test_an_embedder_that_is_already_loaded(tmp_path: Path, bert: Path) -> None:
    source = write_texts(tmp_path / "a.txt", texts(3))
    ct.embed(ct.load(bert, pooling="max"), source, tmp_path / "out")
    assert list(ct.read(tmp_path / "out").arrays) == ["max"]
    with pytest.raises(OptionError, match="give them to load"):
        ct.embed(ct.load(bert), source, tmp_path / "out2", pooling="max")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"limit": 0}, OptionError, "`limit` must be 1 or more"),
        ({"part_rows": 0}, OptionError, "`part_rows` must be 1 or more"),
        ({"modality": "image"}, OptionError, "reads text"),
        ({"pooling": "nonsense"}, ClasstokenError, "nonsense"),
        ({"source": "nowhere.csv"}, SourceError, "there is no file or folder"),
        ({"source": "empty.txt"}, SourceError, "no record of .* can be read"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, change: dict, kind: type[Exception], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_texts(tmp_path / "a.txt", texts(3))
    write_texts(tmp_path / "empty.txt", ["", ""])
    with pytest.raises(kind, match=words) as caught:
        ct.embed(bert, change.pop("source", "a.txt"), "out", **change)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_model_and_a_source_with_nothing_in_common(tmp_path: Path, vit: Path) -> None:
    with pytest.raises(SourceError, match=r"reads image, but the first record of .* has only text; give a source of"):
        ct.embed(vit, write_texts(tmp_path / "a.txt", ["a"]), tmp_path / "out")


def test_a_vector_without_weights_is_refused(tmp_path: Path, vit: Path) -> None:
    (tmp_path / "x.png").write_bytes(encoded((1, 2, 3)))
    with pytest.raises(VectorRefused, match="pooler"):
        ct.embed(vit, tmp_path / "x.png", tmp_path / "out", pooling="pooler")


def test_no_record_that_can_be_embedded_is_an_error_with_the_first_reason(tmp_path: Path, vit: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"none of the 1 records could be embedded; the first, 'x\.png'"):
        ct.embed(vit, tmp_path / "images", tmp_path / "out")


def test_a_model_of_two_towers_must_be_told_when_both_are_there(tmp_path: Path) -> None:
    clip = folders.tiny_clip(tmp_path / "clip")
    table = pa.table({"image": [{"bytes": encoded((9, 9, 9)), "path": None}], "text": ["the cat"]})
    pq.write_table(table, tmp_path / "both.parquet")
    with pytest.raises(OptionError, match="say which with `modality`"):
        ct.embed(clip, tmp_path / "both.parquet", tmp_path / "out")
    for modality in ("text", "image"):
        ct.embed(clip, tmp_path / "both.parquet", tmp_path / modality, modality=modality)
        item = "the cat" if modality == "text" else encoded((9, 9, 9))
        expected = ct.load(clip).embed([item], modality=modality)
        np.testing.assert_allclose(next(iter(ct.read(tmp_path / modality).arrays.values())), expected, atol=2e-6)


def test_real_photographs(tmp_path: Path, shared: Path) -> None:
    model, folder = shared / "models" / "deit-tiny-patch16-224", shared / "data" / "imagenet-samples"
    result = ct.embed(model, folder, tmp_path / "out", pooling="cls", limit=6)
    found = ct.read(tmp_path / "out")
    assert result.rows == 6
    expected = ct.load(model).embed([folder / name for name in found.ids], pooling="cls")
    np.testing.assert_allclose(found.arrays["cls"], expected, atol=1e-4, rtol=1e-5)


def test_unit_length_can_be_refused_to_a_contract_that_has_it(tmp_path: Path) -> None:
    model = folders.sentence_transformer(tmp_path / "st")
    source = write_texts(tmp_path / "a.txt", texts(3))
    ct.embed(model, source, tmp_path / "unit")
    ct.embed(model, source, tmp_path / "raw", normalize=False)
    unit, raw = ct.read(tmp_path / "unit").arrays["mean"], ct.read(tmp_path / "raw").arrays["mean"]
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.01
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)


def test_text_path_and_columns_are_kept_unless_told_otherwise(tmp_path: Path, bert: Path, vit: Path) -> None:
    table = pa.table({"id": ["x", "y"], "sentence": ["the cat", "a dog"], "price": [1.5, 2.0], "label": ["p", None]})
    pq.write_table(table.append_column("a.b", pa.array([1, 2])), tmp_path / "a.parquet")
    ct.embed(bert, tmp_path / "a.parquet", tmp_path / "all")
    found = ct.read(tmp_path / "all").table
    assert found.schema.names == ["id", "mean", "label", "text", "price", "a_b"]
    assert found.column("text").to_pylist() == ["the cat", "a dog"]
    ct.embed(bert, tmp_path / "a.parquet", tmp_path / "some", carry="price")
    assert ct.read(tmp_path / "some").carried == ("price",)
    ct.embed(bert, tmp_path / "a.parquet", tmp_path / "none", carry="none")
    assert ct.read(tmp_path / "none").table.schema.names == ["id", "mean", "label"]
    with pytest.raises(OptionError, match="no column 'colour' to carry; there are: text, price"):
        ct.embed(bert, tmp_path / "a.parquet", tmp_path / "out", carry="colour")
    with pytest.raises(ManifestMismatch, match="carried 'price' instead of 'text,price,a_b'"):
        ct.embed(bert, tmp_path / "a.parquet", tmp_path / "some")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(encoded((9, 9, 9)))
    ct.embed(vit, tmp_path / "photos", tmp_path / "images")
    assert ct.read(tmp_path / "images").column("path") == [(tmp_path / "photos/a.png").as_posix()]


HALF = "\ud83d"


def test_half_a_character_in_any_column_costs_nothing_but_its_text(tmp_path: Path, bert: Path) -> None:
    """JSON may hold lone surrogates, which no file can: they are shown as escapes where they are carried."""
    rows = [
        {"id": "a", "text": "fine", "user": f"ann {HALF}", "label": HALF, f"k{HALF}": 1, "o": {"a": [HALF]}},
        {"id": f"b{HALF}", "text": "fine", "user": "bob", "label": "x"},
        {"id": "c", "text": f"half {HALF}"},
    ]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")
    result = ct.embed(bert, source, tmp_path / "out")
    assert (result.rows, result.refused) == (2, 1)
    found = ct.read(tmp_path / "out").table
    assert found.column("id").to_pylist() == ["a", r"b\ud83d"]
    assert found.column("user").to_pylist() == [r"ann \ud83d", "bob"]
    assert found.column("label").to_pylist() == [r"\ud83d", "x"]
    assert found.column("o").to_pylist() == [r'{"a": ["\ud83d"]}', None]
    assert found.column(r"k\ud83d").to_pylist() == [1, None]


def test_whatever_a_carried_column_holds(tmp_path: Path, bert: Path) -> None:
    values = [1, "one", None, 10**40, [1, {"a": None}], {"b": 2}, True, 1.5, float("nan"), "", "a\x00b", "line\nend"]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps({"text": "cat", "v": v, "n": 10**30}) + "\n" for v in values))
    assert ct.embed(bert, source, tmp_path / "out").rows == len(values)
    found = ct.read(tmp_path / "out").table.column("v").to_pylist()
    assert found[:7] == ["1", "one", None, str(10**40), '[1, {"a": null}]', '{"b": 2}', "true"]


@pytest.mark.parametrize("error", [IndexError("odd"), MemoryError("large"), RuntimeError("CUDA out of memory")])
def test_a_record_that_cannot_be_computed_costs_itself_only(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    embedder = ct.load(bert)
    whole = embedder.vectors_of

    def brittle(tokens, *more, **named):  # type: ignore[no-untyped-def]
        if (tokens.ids_BL == marked).any():
            raise error
        return whole(tokens, *more, **named)

    (marked,) = {row for row in embedder.tokens(["bird"]).ids_BL[0].tolist()} - {
        row for row in embedder.tokens(["cat"]).ids_BL[0].tolist()
    }
    monkeypatch.setattr(embedder, "vectors_of", brittle)
    source = write_texts(tmp_path / "rows.txt", ["cat", "dog", "bird", "red house"])
    result = ct.embed(embedder, source, tmp_path / "out")
    assert (result.rows, result.refused) == (3, 1)
    assert result.examples[0].id == "2"
    assert str(error) in result.examples[0].reason
    (found,) = ct.read(tmp_path / "out").arrays.values()
    np.testing.assert_allclose(found, ct.load(bert).embed(["cat", "dog", "red house"]), atol=1e-6)
    with pytest.raises(SourceError, match="record '2'"):
        ct.embed(embedder, source, tmp_path / "strict", strict=True)
