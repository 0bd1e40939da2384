"""`predict`: prepared once, refused record by record, going on where it was stopped, right to the last digit shown."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
from tests.folders import tiny_bert, tiny_clip, tiny_vit
from tests.learning.training import train

import classtoken as ct
from classtoken import drawn
from classtoken.cli import main
from classtoken.embedder import Embedder
from classtoken.errors import BadRecord, ContractError, ManifestMismatch, OptionError, OutputError, SourceError
from classtoken.results.predict import PredictedItem
from classtoken.source import open_source
from classtoken.tokens import image as image_module
from classtoken.tokens.text import TextPreprocessor

FACES = "builtin:tiny?count=40&seed=2"


@pytest.fixture(scope="module")
def toy() -> Embedder:
    return ct.load("builtin:toy")


@pytest.fixture(scope="module")
def sentiment() -> Embedder:
    return ct.load("builtin:sentiment")


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def quarantine_of(out: Path) -> list[dict[str, str]]:
    return pq.read_table(out / "_meta/quarantine.parquet").to_pylist()


def test_it_says_what_the_embedder_says(toy: Embedder, tmp_path: Path) -> None:
    result = ct.predict(toy, FACES, tmp_path, every=True)
    records = list(open_source(FACES).records())
    expected = toy.probabilities([record.image for record in records])
    rows = rows_of(tmp_path)
    assert [row["id"] for row in rows] == [record.id for record in records]
    for row, p in zip(rows, expected, strict=True):
        assert row["prediction"] == toy.labels[int(p.argmax())]
        assert float(row["probability"]) == pytest.approx(p.max(), abs=2e-6)
        assert [float(row[f"p:{name}"]) for name in toy.labels] == pytest.approx(p.tolist(), abs=2e-6)
    assert [row["label"] for row in rows] == [record.label for record in records]
    right = [row["label"] == row["prediction"] for row in rows]
    assert (result.records, result.judged, result.accuracy) == (40, 40, np.mean(right))
    found = ct.read(tmp_path)
    assert found.ids == tuple(record.id for record in records)
    np.testing.assert_allclose(found.arrays["probabilities"], expected, atol=1e-6)
    assert ct.verify(tmp_path).ok


def test_every_image_is_decoded_once(toy: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    real = image_module.decode
    monkeypatch.setattr(image_module, "decode", lambda *a, **k: decoded.append(1) or real(*a, **k))
    ct.predict(toy, FACES, tmp_path)
    assert len(decoded) == 40


def test_a_limit_holds_for_drawn_pictures(toy: Embedder, tmp_path: Path) -> None:
    assert ct.predict(toy, FACES, tmp_path, limit=3).records == 3


def test_bad_images_are_refused_one_by_one(toy: Embedder, tmp_path: Path) -> None:
    folder = drawn.write(tmp_path / "scenes", 4)
    (folder / "000001.png").write_bytes((folder / "000001.png").read_bytes()[:200])
    (folder / "000002.png").write_bytes(b"")
    result = ct.predict(toy, folder, tmp_path / "out")
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["000000.png", "000003.png"]
    assert (result.records, result.refused) == (2, 2)
    assert [row["id"] for row in quarantine_of(tmp_path / "out")] == ["000001.png", "000002.png"]
    assert all(row["id"] not in row["reason"] for row in quarantine_of(tmp_path / "out"))
    assert f"{tmp_path}/out/_meta/quarantine.parquet" in str(result)


def test_a_text_that_the_tokenizer_refuses_ends_nothing(
    sentiment: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = TextPreprocessor.encode

    def brittle(self, texts, *, prompt=None):  # type: ignore[no-untyped-def]
        if any("boom" in text for text in texts):
            raise RuntimeError("a bug in the tokenizer")
        return encode(self, texts, prompt=prompt)

    monkeypatch.setattr(TextPreprocessor, "encode", brittle)
    table = tmp_path / "texts.jsonl"
    table.write_text('{"text": "A wonderful film"}\n{"text": "\\ud800"}\n{"text": "boom"}\n{"text": "Awful"}\n')
    result = ct.predict(sentiment, table, tmp_path / "out")
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["0", "3"]
    assert (result.records, result.refused) == (2, 2)
    first, second = quarantine_of(tmp_path / "out")
    assert (first["id"], second["id"]) == ("1", "2")
    assert first["reason"].startswith("half a character")
    assert "RuntimeError: a bug in the tokenizer" in second["reason"]


def test_an_empty_quarantine_is_there_too(toy: Embedder, tmp_path: Path) -> None:
    ct.predict(toy, FACES, tmp_path, limit=2)
    assert quarantine_of(tmp_path) == []


def test_a_prompt_goes_before_every_text(sentiment: Embedder, tmp_path: Path) -> None:
    table = tmp_path / "texts.txt"
    table.write_text("the cat\nthe dog\n")
    ct.predict(sentiment, table, tmp_path / "plain", every=True)
    ct.predict(sentiment, table, tmp_path / "prompted", every=True, prompt_text="terrible, awful: ")
    expected = sentiment.probabilities(["terrible, awful: the cat", "terrible, awful: the dog"])
    name = sentiment.labels[0]
    found = [float(row[f"p:{name}"]) for row in rows_of(tmp_path / "prompted")]
    assert found == pytest.approx(expected[:, 0].tolist(), abs=1e-4)
    assert found != pytest.approx([float(row[f"p:{name}"]) for row in rows_of(tmp_path / "plain")], abs=1e-3)
    with pytest.raises(ManifestMismatch):
        ct.predict(sentiment, table, tmp_path / "plain", prompt_text="other: ")


def test_a_prompt_is_not_for_images(toy: Embedder, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="stands before a text"):
        ct.predict(toy, FACES, tmp_path, prompt_text="photo of ")


def test_it_goes_on_where_it_was(toy: Embedder, tmp_path: Path) -> None:
    whole = ct.predict(toy, FACES, tmp_path / "whole", part_rows=10)
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    for name in ("part-00001-*", "part-00003-*", "predictions.csv", "result.json"):
        next((tmp_path / "part").glob(name)).unlink()
    computed = []
    again = ct.predict(toy, FACES, tmp_path / "part", part_rows=10, report=lambda p: computed.append(p.before))
    assert again.before == 20
    assert computed
    assert set(computed) == {20}
    assert (again.records, again.accuracy) == (whole.records, whole.accuracy)
    assert rows_of(tmp_path / "part") == rows_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(root: Path, tmp_path: Path) -> None:
    source, out = "builtin:tiny?count=600", tmp_path / "killed"
    call = f"import classtoken as ct; ct.predict('builtin:toy', {source!r}, {str(out)!r}, part_rows=20)"
    path = os.pathsep.join([str(root / "src"), str(root)])
    process = subprocess.Popen([sys.executable, "-c", call], env={**os.environ, "PYTHONPATH": path})
    limit = time.monotonic() + 120
    while process.poll() is None and not list(out.glob("_meta/receipts/*.json")) and time.monotonic() < limit:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "predictions.csv").exists()
    result = ct.predict("builtin:toy", source, out, part_rows=20)
    assert 20 <= result.before < 600
    ct.predict("builtin:toy", source, tmp_path / "whole", part_rows=20)
    assert (out / "predictions.csv").read_bytes() == (tmp_path / "whole/predictions.csv").read_bytes()


def test_another_classifier_on_the_same_encoder_is_another_run(tmp_path: Path) -> None:
    ct.predict("builtin:toy", FACES, tmp_path)
    other = ct.load("builtin:toy")
    classifier = other.classifying().reading.classifier
    assert classifier is not None
    next(classifier.head.parameters()).data.add_(1e-3)
    with pytest.raises(ManifestMismatch, match="weights"):
        ct.predict(other, FACES, tmp_path)


def test_what_cannot_be_labelled_is_one_line(sentiment: Embedder, toy: Embedder, tmp_path: Path) -> None:
    table, file = tmp_path / "texts.txt", tmp_path / "file"
    table.write_text("a film\n")
    file.write_text("")
    folder = drawn.write(tmp_path / "scenes", 2)
    for path in folder.iterdir():
        path.write_bytes(b"")
    for call, error, said in (
        (lambda: ct.predict(toy, table, tmp_path / "a"), SourceError, "reads image, but the first record .* only text"),
        (lambda: ct.predict(toy, FACES, tmp_path / "b", modality="text"), OptionError, "reads image"),
        (lambda: ct.predict(toy, FACES, tmp_path / "c", device="cpu"), OptionError, "give them to load"),
        (lambda: ct.predict(toy, FACES, file), OutputError, "is a file"),
        (lambda: ct.predict(toy, folder, tmp_path / "d"), SourceError, r"none of the 2 .* \(0 bytes\)\. All are in"),
    ):
        with pytest.raises(error, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_model_without_classifier_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "texts.txt"
    table.write_text("a film\n")
    with pytest.raises(ContractError, match="no classifier"):
        ct.predict(tiny_bert(tmp_path / "bert"), table, tmp_path / "out")


@pytest.mark.slow
def test_labels_that_the_model_does_not_have_are_named(tmp_path: Path, squares: Path) -> None:
    train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"))
    (squares / "red").rename(squares / "crimson")
    (squares / "crimson/broken.png").write_bytes(b"no image")
    predicted = ct.predict(tmp_path / "model", squares, tmp_path / "out")
    assert predicted.unknown == ("crimson",)
    assert predicted.accuracy is not None
    assert predicted.accuracy < 0.7
    assert "the model has no label crimson" in str(predicted)
    assert "crimson/broken.png: crimson" not in str(predicted)


def test_the_report_shows_the_errors_with_their_pictures(toy: Embedder, tmp_path: Path) -> None:
    """Labels that the model cannot know: every one is an error to look at, with its picture."""
    folder = drawn.write(tmp_path / "scenes", 6)
    table = tmp_path / "labels.csv"
    table.write_text("id,label\n" + "".join(f"{path.name},<unheard & of>\n" for path in sorted(folder.glob("*.png"))))
    result = ct.predict(toy, folder, tmp_path / "out", source_options=ct.SourceOptions(labels=table))
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert result.report == (tmp_path / "out/report.html").as_posix()
    assert [m.label for m in result.mistakes] == ["<unheard & of>"] * 6
    assert page.count("data:image/jpeg;base64,") == 6
    assert "&lt;unheard &amp; of&gt;" in page
    assert "<unheard" not in page
    assert "0.0\N{NO-BREAK SPACE}% of 6 labelled records are right" in page
    assert ct.predict(toy, folder, tmp_path / "out", source_options=ct.SourceOptions(labels=table)).before == 6


def test_texts_stand_beside_what_they_were_given(sentiment: Embedder, tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("text,label\nA wonderful film,negative\nAwful from start to end,negative\n")
    result = ct.predict(sentiment, table, tmp_path / "out")
    assert [(row["text"], row["label"]) for row in rows_of(tmp_path / "out")] == [
        ("A wonderful film", "negative"),
        ("Awful from start to end", "negative"),
    ]
    assert [m.shown for m in result.mistakes] == ["A wonderful film"]
    assert "A wonderful film" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_without_labels_the_least_sure_are_shown_first(sentiment: Embedder, tmp_path: Path) -> None:
    table = tmp_path / "texts.txt"
    table.write_text("A wonderful film\nA film\nBad, boring, awful\n")
    result = ct.predict(sentiment, table, tmp_path / "out")
    assert (result.accuracy, result.mistakes) == (None, ())
    sure = {row["id"]: float(row["probability"]) for row in rows_of(tmp_path / "out")}
    assert [one.id for one in result.least_sure] == sorted(sure, key=sure.__getitem__)
    assert sum(result.given.values()) == 3
    assert "  given: 2 " in str(result)
    assert f"the least sure to look at, and every label: {result.report}" in str(result)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert page.index("The least sure ones") < page.index("What was given how often")
    assert "Bad, boring, awful" in page
    assert "label" not in rows_of(tmp_path / "out")[0]


@pytest.mark.slow
def test_records_that_the_model_was_trained_on_do_not_pass_for_new_ones(toy: Embedder, tmp_path: Path) -> None:
    train("builtin:tiny?count=24&seed=5", tmp_path / "model", model="builtin:toy")
    same = ct.predict(tmp_path / "model", "builtin:tiny?count=24&seed=5", tmp_path / "same")
    assert (same.judged_seen, same.of_others) == (24, None)
    assert "note: the model was trained on these records: the figures say nothing about new ones" in str(same)
    assert "Mind: the model was trained on these records" in (tmp_path / "same/report.html").read_text("utf-8")
    fresh = ct.predict(tmp_path / "model", "builtin:tiny?count=24&seed=6", tmp_path / "fresh")
    assert fresh.judged_seen == 0
    assert "trained on" not in str(fresh)


@pytest.mark.slow
def test_figures_of_the_others_stand_beside_those_that_flatter(sentiment: Embedder, tmp_path: Path) -> None:
    texts = [f"{'fine' if i % 2 else 'dull'} film number {i}" for i in range(30)]
    for name, some in (("learned", texts[:20]), ("mixed", texts[10:])):
        rows = [(text, "good" if "fine" in text else "bad") for text in some]
        with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    train(tmp_path / "learned.csv", tmp_path / "model", model="builtin:sentiment")
    found = ct.predict(tmp_path / "model", tmp_path / "mixed.csv", tmp_path / "out")
    assert (found.judged, found.judged_seen) == (20, 10)
    assert found.of_others is not None
    assert found.of_others.n == 10
    assert found.of_others.estimate == pytest.approx((found.accuracy * 20 - 10) / 10, abs=0.11)
    # what was trained further has seen what its MODEL had seen
    train(tmp_path / "mixed.csv", tmp_path / "further", model=tmp_path / "model")
    assert ct.predict(tmp_path / "further", tmp_path / "learned.csv", tmp_path / "again").judged_seen == 20


class TestOneInput:
    """Without `out`: one picture or one text, and the answer."""

    def test_a_text_and_a_picture(
        self, sentiment: Embedder, toy: Embedder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = ct.predict(sentiment, "what a lovely film")
        expected = sentiment.probabilities(["what a lovely film"])[0]
        assert {each.label: each.probability for each in found.probabilities} == pytest.approx(
            dict(zip(sentiment.labels, expected.tolist(), strict=True)), abs=1e-6
        )
        assert found.prediction == (sentiment.labels[int(expected.argmax())],)
        assert main(["predict", "what a lovely film", "--model", "builtin:sentiment"]) == 0
        assert capsys.readouterr().out.splitlines()[0].split() == [found.prediction[0], f"{expected.max():.1%}"]
        drawn.write(tmp_path / "scenes", 2)
        picture = next((tmp_path / "scenes").rglob("*.png")).rename(tmp_path / "mein Bild ä.png")
        before = {path.name for path in tmp_path.iterdir()}
        assert main(["predict", str(picture), "--model", "builtin:scenes", "--all", "--json"]) == 0
        shown = PredictedItem.from_json(capsys.readouterr().out)
        assert (shown.item, len(shown.probabilities)) == (str(picture), len(ct.load("builtin:scenes").labels))
        assert shown.probabilities == ct.predict("builtin:scenes", PIL.Image.open(picture)).probabilities
        assert {path.name for path in tmp_path.iterdir()} == before

    @pytest.mark.parametrize("name", ["texts.csv", "gone.csv.gz", "photos/", "*.png/*", "builtin:tiny", "s3://b/x"])
    def test_what_may_hold_many_wants_a_folder(
        self, name: str, sentiment: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "texts.csv").write_text("id,text\n1,fine\n")
        with pytest.raises(OptionError, match="may hold many records: `out` is missing"):
            ct.predict(sentiment, name)
        with pytest.raises(OptionError, match="2 inputs: `out` is missing"):
            ct.predict(sentiment, [name, name])
        with pytest.raises(OptionError, match="there is no input; give a text or a picture"):
            ct.predict(sentiment, [])
        with pytest.raises(OptionError, match="`limit`, `overwrite`: only with `out`"):
            ct.predict(sentiment, "fine", limit=3, overwrite=True)  # type: ignore[call-overload]

    def test_a_file_is_told_by_what_it_holds(self, toy: Embedder, tmp_path: Path) -> None:
        PIL.Image.new("RGB", (30, 30)).save(tmp_path / "photo", "PNG")
        assert ct.predict(toy, tmp_path / "photo") == replace(
            ct.predict(toy, PIL.Image.open(tmp_path / "photo")), item=str(tmp_path / "photo")
        )
        (tmp_path / "photo.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(20))
        with pytest.raises(BadRecord, match="it is HEIC"):
            ct.predict(toy, tmp_path / "photo.heic")
        with pytest.raises(OptionError, match="is no file here"):
            ct.predict(toy, "x" * 300)

    def test_a_typo_is_no_text_and_words_are_no_picture(self, sentiment: Embedder, toy: Embedder) -> None:
        with pytest.raises(OptionError, match=r"'kat\.jpg' is the name of a file"):
            ct.predict(sentiment, "kat.jpg")
        with pytest.raises(OptionError, match="'a cat' is no file here"):
            ct.predict(toy, "a cat")

    def test_classes_in_words(self, tmp_path: Path) -> None:
        tiny_clip(tmp_path / "clip")
        drawn.write(tmp_path / "scenes", 1)
        picture = next((tmp_path / "scenes").rglob("*.png"))
        clip = ct.load(tmp_path / "clip")
        for item in (picture, str(picture), "a dog runs"):
            found = ct.predict(clip, item, classes=["cat", "dog"])
            assert sum(each.probability for each in found.probabilities) == pytest.approx(1, abs=1e-5)
            assert found.prediction == (found.probabilities[0].label,)
        many = ct.predict(clip, tmp_path / "scenes", tmp_path / "out", classes=["cat", "dog"], modality="image")
        expected = ct.read(many.out).arrays["probabilities"][0]
        one = ct.predict(clip, picture, classes=["cat", "dog"])
        assert [each.probability for each in one.probabilities] == pytest.approx(sorted(expected)[::-1], abs=1e-6)


@pytest.mark.parametrize("kind", ["folder", "table", "texts"])
def test_what_holds_something_else_behind_the_same_name_is_labelled_anew(tmp_path: Path, kind: str) -> None:
    folder, source, model = tmp_path / "in", tmp_path / "in", "builtin:toy"
    folder.mkdir()
    if kind == "texts":
        model, changed = "builtin:sentiment", folder / "1.md"
        for number, text in enumerate(("a wonderful film", "a great story", "a fine evening")):
            (folder / f"{number}.md").write_text(text)
    else:
        changed = folder / "1.bmp"
        for number, record in enumerate(open_source("builtin:tiny?count=3&seed=2").records()):
            PIL.Image.open(BytesIO(record.image)).save(folder / f"{number}.bmp")  # of one size
    if kind == "table":
        source = tmp_path / "a.csv"
        source.write_text("id,image\n" + "".join(f"{n}.bmp,in/{n}.bmp\n" for n in range(3)))
    ct.predict(model, source, tmp_path / "out", part_rows=1)
    before = rows_of(tmp_path / "out")
    if kind == "texts":
        changed.write_text("a dreary tale")
    else:
        shutil.copyfile(folder / "0.bmp", changed)
    os.utime(changed, ns=(1, 1))
    result = ct.predict(model, source, tmp_path / "out", part_rows=1)
    assert result.before == 2
    ct.predict(model, source, tmp_path / "fresh", part_rows=1)
    after = rows_of(tmp_path / "out")
    assert after == rows_of(tmp_path / "fresh")
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
