"""Nothing happens silently: what cannot be meant is refused before any work, and what was ignored once is an error."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.folders import coloured_squares, sentence_transformer, tiny_bert, tiny_vit

import classtoken as ct
from classtoken.errors import OptionError, TrainingError


@pytest.mark.parametrize("name", ["kat.jpg", "a/b/CAT.PNG", "{there}"])
def test_a_path_is_never_taken_for_a_text(name: str, tmp_path: Path) -> None:
    bert, there = tiny_bert(tmp_path / "bert"), tmp_path / "photo.data"
    there.write_bytes(b"")
    item = name.format(there=there)
    for call in (
        lambda: ct.explain(bert, item),
        lambda: ct.explain(bert, Path(item)),
        lambda: ct.walkthrough(bert, [item], tmp_path / "page.html"),
    ):
        with pytest.raises(OptionError, match="is the name of a file"):
            call()
    assert not (tmp_path / "page.html").exists()


def test_a_prompts_name_and_its_text_are_two_options(tmp_path: Path) -> None:
    model, out, texts = sentence_transformer(tmp_path / "st", prompts=True), tmp_path / "out", tmp_path / "a.txt"
    texts.write_text("the cat\n")
    for options, said in (
        ({"prompt": "quary"}, "no prompt called 'quary'; its prompts are '"),
        ({"prompt_text": "query"}, "'query' is the name of a prompt"),
        ({"prompt": "query", "prompt_text": "the red cat"}, "give one"),
    ):
        with pytest.raises(OptionError, match=said):
            ct.embed(model, texts, out, **options)
    plain = tiny_bert(tmp_path / "bert")
    with pytest.raises(OptionError, match="no prompt called 'query'; it has none"):
        ct.embed(plain, texts, out, prompt="query")
    ct.embed(model, texts, out, prompt="query")
    ct.embed(model, texts, tmp_path / "words", prompt_text="the red cat")
    (name,) = ct.read(out).arrays
    assert (ct.read(out).arrays[name] == ct.read(tmp_path / "words").arrays[name]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 5}, "`epochs` has no meaning for logistic regression"),
        ({"batch": 5}, "`batch` has no meaning for logistic regression"),
        ({"learning_rate": 1e-3}, "`learning_rate` is chosen on held-out records"),
        ({"layer_decay": 0.5, "head": "mlp"}, "`layer_decay` is for an encoder that learns"),
        ({"patience": 2, "pooling": "map"}, "`patience` is for an encoder that learns"),
        ({"augment": False}, "`augment` is for fine-tuning"),
    ],
)
def test_options_that_do_not_apply_are_errors(options: dict, said: str, tmp_path: Path) -> None:
    squares, vit = coloured_squares(tmp_path / "squares", 2), tiny_vit(tmp_path / "vit")
    with pytest.raises(OptionError, match=said):
        ct.train(vit, squares, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_options_that_would_move_nothing_are_errors(tmp_path: Path) -> None:
    bert = tiny_bert(tmp_path / "bert", head=True)
    made, texts = tmp_path / "made", tmp_path / "a.txt"
    texts.write_text("the cat\na dog\n")
    ct.embed(bert, texts, made)
    loaded, windows = ct.load(bert), ct.SourceOptions(encoding="cp1252")
    for call, said in (
        (lambda: ct.search(made, "the cat", source_options=windows), "`encoding`: only with `queries`"),
        (lambda: ct.search(made, id="0", prompt_text="query: "), "`prompt_text`: not with `id`"),
        (lambda: ct.search(made, "the cat", model=loaded, device="cpu"), "`device`: not with an Embedder"),
        (lambda: ct.verify(made, prompt_text="query: "), "`prompt_text`: not with a folder"),
        (lambda: ct.verify(made, accept=("x",)), "`accept`: only with `model`"),
        (lambda: ct.verify(made, vector_column="v"), "`vector_column`: only with `against`"),
        (lambda: ct.verify(against=texts, model=bert, clean=True), "`clean`: only with a folder"),
        (lambda: ct.verify(against=texts, model=bert, service_model="x"), "`service_model`: only with `endpoint`"),
        (lambda: ct.predict(bert, "the cat", source_options=windows), "`encoding`: only with `calibrate` or `out`"),
        (
            lambda: ct.export(made, tmp_path / "e", format="faiss", normalize=True),
            "`normalize`: only with `format` onnx",
        ),
        (lambda: ct.export(made, tmp_path / "e", format="lance", pooling="cls"), "`pooling`: not with `format` lance"),
        (lambda: ct.export(loaded, tmp_path / "e", pooling="mean"), "an Embedder has its own pooling"),
        (lambda: ct.explain(loaded, "the cat", device="cpu"), "an Embedder has its own pooling"),
        (lambda: ct.verify(against=texts, model=loaded, device="cpu"), "an Embedder has its own pooling"),
    ):
        with pytest.raises(OptionError, match=said):
            call()


def test_records_without_labels_are_refused_before_any_work(tmp_path: Path) -> None:
    vit, squares = tiny_vit(tmp_path / "vit"), coloured_squares(tmp_path / "squares", 2)
    pictures = sorted(str(path) for path in squares.rglob("*.png"))
    told: list[object] = []
    with pytest.raises(TrainingError, match="has no label"):
        ct.train(vit, pictures, tmp_path / "out", report=told.append)
    assert told == []
    assert not (tmp_path / "out").exists()


def test_rows_with_an_empty_label_are_left_out_and_named(tmp_path: Path) -> None:
    table, bert = tmp_path / "some.csv", tiny_bert(tmp_path / "bert")
    words = ("the cat", "a dog", "green blue")
    rows = [f"{words[n % 3]} sits {n},{'ab'[n % 2] if n != 4 else ''}\n" for n in range(12)]
    table.write_text("text,label\n" + "".join(rows))
    result = ct.train(bert, table, tmp_path / "out")
    assert (result.learned, result.refused, result.labels) == (11, 1, ("a", "b"))
    assert "1 record that could not be used" in str(result)
    assert "4: has no label" in str(result)
    few = tmp_path / "few.csv"
    few.write_text("text,label\nthe cat,a\na dog,b\ngreen,\n,a\n")
    with pytest.raises(TrainingError, match=r"nothing can be held out .* 2 records could not be used; the first, '2'"):
        ct.train(bert, few, tmp_path / "other")


def test_labels_that_differ_in_case_are_named(tmp_path: Path) -> None:
    table, bert = tmp_path / "some.csv", tiny_bert(tmp_path / "bert")
    rows = [f"the cat sits {n},{('Red', 'red', 'blue')[n % 3]}\n" for n in range(12)]
    table.write_text("text,label\n" + "".join(rows))
    assert "labels that differ in case or spaces only: 'Red', 'red'" in str(ct.train(bert, table, tmp_path / "out"))


@pytest.mark.slow
def test_what_is_left_out_of_a_folder_is_said_by_every_verb(tmp_path: Path) -> None:
    squares, vit = coloured_squares(tmp_path / "squares", 4), tiny_vit(tmp_path / "vit", head=True)
    (squares / "red" / "photo.heic").write_bytes(b"")
    (squares / "Thumbs.db").write_bytes(b"")
    for verb, call in {
        "embed": lambda: ct.embed(vit, squares, tmp_path / "vectors"),
        "predict": lambda: ct.predict(vit, squares, tmp_path / "labelled"),
        "train": lambda: ct.train(vit, squares, tmp_path / "head"),
        "compare": lambda: ct.compare(vit, squares, pooling="cls", folds=2, draws=2),
        "explain": lambda: ct.explain_data(vit, squares, quick=True, methods=["attention"], faithful=0),
    }.items():
        assert "1 .db, 1 .heic" in str(call()), verb


def test_a_frozen_training_says_how_far_it_is(tmp_path: Path) -> None:
    squares, vit = coloured_squares(tmp_path / "squares", 4), tiny_vit(tmp_path / "vit")
    told: list[ct.errors.ClasstokenError | object] = []
    append: Callable[[object], None] = told.append
    ct.train(vit, squares, tmp_path / "out", report=append)
    assert {now.what for now in told} == {"embedding the records", "fitting the head"}  # type: ignore[attr-defined]
