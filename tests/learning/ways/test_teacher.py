"""Teachers label what has no labels."""

from pathlib import Path

import pytest
from tests.folders import tiny_bert
from tests.learning.training import LOOP, MOVING, predict, scratch, texts, train

from classtoken.errors import OptionError
from classtoken.learning.recipe import Recipe


def test_a_teacher_labels_texts_that_have_no_labels(tmp_path: Path) -> None:
    teacher = tiny_bert(tmp_path / "bert")
    rows = [f"{text},{'long' if len(text) > 12 else 'short'}" for text in texts(60)]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    (tmp_path / "more.txt").write_text("\n".join(texts(84)[60:]) + "\n")
    model = {
        "hidden_size": 16,
        "depth": 1,
        "stem": {"kind": "text", "vocabulary": 60, "positions": 16},
        "block": {"heads": 2, "feedforward_size": 32},
    }
    wanted = {"kind": "distillation", "mode": "soft", "teacher": str(teacher)}
    data = {"held_out": 0.25, "longest": 12, "unlabelled": [str(tmp_path / "more.txt")]}
    recipe = Recipe.from_dict({"model": model, "data": data, "objective": wanted, "loop": LOOP, "optimiser": MOVING})
    result = train(tmp_path / "texts.csv", tmp_path / "model", recipe=recipe)
    assert result.records == 60 + 24
    assert result.scores["accuracy"] > 0.7


def test_a_teacher_labels_pictures_that_have_no_labels(tmp_path: Path, squares: Path) -> None:
    """Six labelled pictures and the labels that a trained model gives to the others; several labels a row too."""
    train(squares, tmp_path / "teacher", recipe=scratch())
    few = tmp_path / "few.csv"
    paths = [path for path in sorted(squares.rglob("*.png")) if path.stem < "04"]
    few.write_text("image,label\n" + "".join(f"{path},{path.parent.name}\n" for path in paths))
    wanted = {"kind": "distillation", "mode": "soft", "teacher": str(tmp_path / "teacher")}
    plain = {**scratch().to_dict(), "objective": wanted, "data": {"held_out": 0.34, "unlabelled": [str(squares)]}}
    result = train(few, tmp_path / "student", recipe=Recipe.from_dict(plain))
    assert (result.records, result.learned, result.held_out) == (12 + 60, 9 + 60, 3)
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "student")
    assert predicted.accuracy is not None
    assert predicted.accuracy > 0.8
    with pytest.raises(OptionError, match="labels alone have no use for them"):
        train(few, tmp_path / "a", recipe=Recipe.from_dict({**plain, "objective": {}}))
    with pytest.raises(OptionError, match="mix labels"):
        train(few, tmp_path / "b", recipe=Recipe.from_dict({**plain, "augment": {"mixup": 0.2}}))
