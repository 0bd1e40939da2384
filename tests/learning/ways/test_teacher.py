"""Teachers label what has no labels."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.folders import tiny_bert
from tests.learning.training import LOOP, MOVING, predict, scratch, texts, told, train

from classtoken.embedder import load
from classtoken.errors import OptionError
from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.recipe import Recipe
from classtoken.learning.ways.teacher import ImageTeacher, ImageTeachers, text_probabilities
from classtoken.tensors import Tokens


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


def test_several_teachers_answer_as_the_mean_of_their_probabilities(tmp_path: Path, squares: Path) -> None:
    """Of one class among several and of several labels a picture; what is learned is known by all of them."""
    made = [tmp_path / name for name in ("one", "two")]
    for seed, folder in enumerate(made):
        train(squares, folder, recipe=Recipe.from_dict({**scratch().to_dict(), "loop": {**LOOP, "seed": seed}}))
    labels = load(str(made[0])).labels
    members = [ImageTeacher(str(folder), labels, (0.5,) * 3, (0.5,) * 3, "cpu") for folder in made]
    pixels = torch.rand((5, 3, *load(str(made[0])).tower("image").prepare.recipe.output))
    batch = TrainingBatch((Tokens(torch.zeros(5, 1), pixels=pixels),), None, torch.arange(5))
    one, two = (member(batch).double() for member in members)
    assert not torch.allclose(one, two, atol=1e-3)
    both = ImageTeachers(members, "single")
    assert torch.allclose(both(batch).double().softmax(-1), (one.softmax(-1) + two.softmax(-1)) / 2, atol=1e-6)
    several = ImageTeachers(members, "multi")(batch).double()
    assert torch.allclose(several.sigmoid(), (one.sigmoid() + two.sigmoid()) / 2, atol=1e-6)
    alone = ImageTeachers(members[:1], "single")
    assert torch.equal(alone(batch), members[0](batch))
    assert len({alone.identity, both.identity, members[1].identity}) == 3


def test_texts_are_labelled_by_the_mean_of_several_teachers(tmp_path: Path) -> None:
    berts = [str(tiny_bert(tmp_path / name)) for name in "ab"]
    held = load_file(tmp_path / "b/model.safetensors")
    save_file({name: weight.flip(0) for name, weight in held.items()}, tmp_path / "b/model.safetensors")
    said, rows, targets = texts(24), torch.arange(12), torch.arange(24) % 2

    def asked(*models: str) -> torch.Tensor:
        return text_probabilities(models, said, rows, targets, ("x", "y"), "cpu")

    one, two = asked(berts[0]), asked(berts[1])
    assert not torch.allclose(one, two, atol=1e-3)
    assert torch.allclose(asked(*berts), (one + two) / 2, atol=1e-6)


@pytest.mark.parametrize("given", ["a", ["a"], ["a", "b"]])
def test_a_recipe_names_one_teacher_or_several(given: str | list[str]) -> None:
    recipe = Recipe.from_dict({"objective": {"kind": "distillation", "teacher": given}})
    assert recipe.objective.teachers == tuple(given)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert told(teacher=tuple(given)).objective.teachers == tuple(given)
    assert Recipe().objective.teachers == ()
