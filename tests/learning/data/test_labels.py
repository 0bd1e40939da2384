"""Labels become numbers; what cannot be learned from is refused."""

from pathlib import Path

import pytest
from tests.folders import tiny_bert
from tests.learning.training import predict, predictions, train

from classtoken.embedder import load
from classtoken.errors import TrainingError
from classtoken.learning.data.labels import check, classes_of, targets_of
from classtoken.learning.recipe import Recipe
from classtoken.values import Record


def test_labels_that_cannot_be_learned_from_are_refused() -> None:
    with pytest.raises(TrainingError, match="two or more"):
        check([Record("1", label="a"), Record("2", label="a")], ("a",))
    with pytest.raises(TrainingError, match="'2' has no label"):
        check([Record("1", label="a"), Record("2")], ("a",))
    with pytest.raises(TrainingError, match="no record"):
        check([], ())


def test_numbers_as_labels_are_in_order_of_value() -> None:
    records = [Record(str(i), label=label) for i, label in enumerate(("10", "9", "b", "a"))]
    assert classes_of(records) == (("9", "10", "a", "b"), False)
    several = [Record("0", label=("b",)), Record("1", label=())]
    assert targets_of(several, ("a", "b"), True).tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_labels_are_called_by_the_names_that_the_recipe_gives(tmp_path: Path) -> None:
    """The model says `good`, and still judges data in which the same is called 1."""
    opinions = [("I loved it", 1), ("what a bore", 0), ("great fun", 1), ("dull and long", 0)] * 5
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in opinions))
    recipe = Recipe.from_dict({"data": {"label_names": {"0": "bad", "1": "good"}, "held_out": 0.2}})
    result = train(table, tmp_path / "model", model=tiny_bert(tmp_path / "bert"), recipe=recipe)
    assert result.labels == ("bad", "good")
    model = load(tmp_path / "model")
    assert model.labels == ("bad", "good")
    predicted = predict(table, tmp_path / "out", model=model)
    assert predicted.accuracy == 1.0
    assert {row["prediction"] for row in predictions(tmp_path / "out")} == {"bad", "good"}
    table.write_text(table.read_text().replace(",1\n", ",good\n"))
    assert predict(table, tmp_path / "renamed", model=model).accuracy == 1.0
    with pytest.raises(TrainingError, match="'good' has no name in label_names, which has 0, 1"):
        train(table, tmp_path / "again", model=tmp_path / "bert", recipe=recipe)
    twice = Recipe.from_dict({"data": {"label_names": {"0": "bad", "1": "bad"}}})
    with pytest.raises(TrainingError, match="calls both '0' and '1' 'bad'"):
        train(table, tmp_path / "again", model=tmp_path / "bert", recipe=twice)


def test_signs_that_only_look_like_digits_are_texts() -> None:
    """`'²'.isdigit()` is true, and int('²') fails."""
    assert classes_of([Record("0", label="²"), Record("1", label="3")]) == (("3", "²"), False)


def test_what_columns_there_are_is_said_where_a_label_is_missing() -> None:
    records = [Record("a", text="x", meta={"category": "pug", "n": 1})] * 2
    with pytest.raises(TrainingError, match=r"`label_column`.*columns 'category', 'n'"):
        check(records, ())
