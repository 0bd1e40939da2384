"""A loaded model behind a server: one's own inputs, whole matrices, free play, what takes long."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from tests import folders
from tests.page.tiny import drawn, written
from tests.walk.conftest import Made

import classtoken as ct
from classtoken.errors import OptionError
from classtoken.inputs import prepare_one
from classtoken.page.document import Walkthrough
from classtoken.page.example import Example
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.traced import trace
from classtoken.study.experiments import second_class_token
from classtoken.walk.engine import KEPT, Engine


@pytest.fixture
def e(document: Walkthrough) -> Example:
    return document.examples[0]


@pytest.fixture(scope="module")
def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(out, "PNG")
    return out.getvalue()


def test_the_packages_own_pictures_are_walked_through_when_none_is_given(document: Walkthrough) -> None:
    assert [each.title for each in document.examples] == ["a drawn cat", "a drawn dog", "a drawn bird"]
    assert document.toy is not None
    assert document.model.readout.reads_class_token


def test_a_whole_matrix_holds_the_rows_of_the_page(toy: Engine, e: Example) -> None:
    matrix = toy.attention(e.id, 1, 0)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(matrix[0], e.layers.weights[1, 0], atol=1e-6)
    np.testing.assert_allclose(matrix[:, 0], e.layers.back[1, 0], atol=1e-6)


def test_there_is_no_matrix_of_a_layer_that_does_not_exist(toy: Engine, e: Example) -> None:
    with pytest.raises(OptionError, match="no layer"):
        toy.attention(e.id, 9, 0)


def test_free_play_gives_what_the_page_holds(toy: Engine, document: Walkthrough, e: Example) -> None:
    assert e.removals is not None
    assert e.causal is not None
    donor = document.examples[1].id
    for change, values in (
        ({}, e.answers.values),
        ({"removed": [e.removals.tokens[2]]}, e.removals.values[2]),
        ({"causal": True}, e.causal.values),
        ({"pooling": "max"}, e.poolings[2].values),
        ({"swap": {"donor": donor, "layer": 1}}, e.swaps[0].values[1]),
    ):
        np.testing.assert_allclose(toy.what_if(e.id, change), values, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"removed": [0]}, "only patches"),
        ({"removed": "all"}, "list"),
        ({"removed": [True]}, "list"),
        ({"removed": list(range(1, 10))}, None),
        ({"pooling": "map"}, "not offered"),
        ({"swap": {"donor": "dog", "layer": 99}}, "does not exist"),
        ({"swap": {"donor": "dog", "layer": 1, "token": 9}}, "no class token"),
        ({"swap": {"donor": "nobody", "layer": 1}}, "no input"),
        ({"swap": "all"}, "object"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(toy: Engine, e: Example, change: Any, says: str | None) -> None:
    if says is None:  # the class token alone is left, and that is an answer too
        assert toy.what_if(e.id, change).shape == e.answers.values.shape
        return
    with pytest.raises(OptionError, match=says):
        toy.what_if(e.id, change)


def test_an_input_that_is_not_there_is_refused(toy: Engine) -> None:
    with pytest.raises(OptionError, match="no input"):
        toy.what_if("nobody", {})


def test_the_oldest_upload_is_dropped_first(toy: Engine, png: bytes) -> None:
    added = toy.add(png)
    assert added.origin == "yours"
    assert added.id in toy.walked
    for _ in range(KEPT):
        last = toy.add(png)
    assert added.id not in toy.walked
    assert last.id in toy.walked
    with pytest.raises(OptionError, match=f"not held any more: of your own the last {KEPT} are"):
        toy.what_if(added.id, {})


def test_what_takes_long_is_asked_for_later(toy: Engine, png: bytes, e: Example) -> None:
    added = toy.add(png)
    assert added.removals is None
    assert added.knockouts == ()
    found = toy.experiments(added.id)
    assert found.removals is not None
    assert len(found.removals.tokens) == 9
    assert {cut.layer for cut in found.knockouts} == {0, 1}
    again = toy.experiments("cat")
    assert again.removals is not None
    assert e.removals is not None
    np.testing.assert_array_equal(again.removals.values, e.removals.values)
    assert again.knockouts == e.knockouts


@pytest.mark.slow
def test_a_class_token_for_each_class(made: Callable[[str], Made]) -> None:
    """Every class token is watched with rows of its own; the page shows the best class's one first."""
    engine, page = made("scenes-multi")
    (e,) = page.examples
    assert [t.name for t in e.tokens if t.role == "class"] == [f"class token “{x}”" for x in engine.subject.labels]
    assert e.watched == e.answers.labels[0].index
    assert sorted([e.watched, *(other.position for other in e.others)]) == [0, 1, 2]
    assert page.model.readout.reads == ("class",)
    assert not page.model.readout.reads_class_token
    assert e.poolings == ()
    last = page.model.depth - 1
    for other in e.others:
        matrix = engine.attention(e.id, last, 1)
        np.testing.assert_allclose(other.layers.weights[last, 1], matrix[other.position], atol=1e-5)
        np.testing.assert_allclose(other.layers.back[last, 1], matrix[:, other.position], atol=1e-5)
    found = engine.experiments(e.id)
    assert len(found.others) == 2
    assert {cut.layer for cut in found.others[0]} == set(range(page.model.depth))


def test_a_swap_for_the_same_picture_changes_nothing(made: Callable[[str], Made], picture_file: Path) -> None:
    """Each class token answers for its own class and for no other."""
    engine, page = made("scenes-multi")
    (e,) = page.examples
    donor, clean = engine.add(picture_file.read_bytes()).id, engine.what_if(e.id, {})
    for token in (0, 1, 2):
        swap = {"donor": donor, "layer": page.model.depth, "token": token}
        np.testing.assert_allclose(engine.what_if(e.id, {"swap": swap}), clean, atol=1e-5)


def test_no_matrix_takes_another_forward(toy: Engine, e: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices, the lens and every row come out of the one forward that was kept."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a forward was run")

    monkeypatch.setattr(type(toy.subject.encoder), "forward", fail)
    toy.attention(e.id, 1, 1)
    np.testing.assert_allclose(toy.what_if(e.id, {}), e.answers.values, atol=1e-6)


def test_the_same_architecture_before_training_stands_beside(toy: Engine, document: Walkthrough) -> None:
    """Its weights are shares, its last answers those of the randomised model, and two inputs end nearly alike."""
    e = document.examples[0]
    assert e.untrained is not None
    np.testing.assert_allclose(e.untrained.weights.astype(np.float32).sum(-1), 1, atol=2e-3)
    subject = subject_of(toy.embedder).randomised(how="fresh")
    with torch.no_grad():
        answers = subject.answers(subject(toy.walked[e.id].prepared.tokens))[0]
    shown = [label.index for label in e.answers.labels]
    np.testing.assert_allclose(e.untrained.lens[-1], answers[shown].numpy(), atol=1e-6)
    assert e.untrained.alike is not None
    assert e.untrained.alike > 0.99


def test_each_class_token_has_its_own_experiments(tmp_path: Path) -> None:
    """Twice there, and before training: of the one that is watched, wherever the model has several."""
    engine = Engine("builtin:scenes-multi", [str(drawn("cat", tmp_path / "cat.png"))])
    e = engine.document(full=False).examples[0]
    walked = engine.walked[e.id]
    assert engine.builder.untrained is not None
    before = trace(engine.builder.untrained, walked.prepared.tokens, ("weights",)).part("weights")
    shown = [label.index for label in e.answers.labels]
    assert {view.position for view in e.others} == {0, 1, 2} - {e.watched}
    for view in (e, *e.others):
        position = e.watched if view is e else view.position
        assert view.untrained is not None
        assert view.two is not None
        expected = np.stack([weights_BHLL[0, :, position].mean(0) for weights_BHLL in before])
        np.testing.assert_allclose(view.untrained.weights.astype(np.float32), expected, atol=1e-4)
        np.testing.assert_allclose(view.two.values, second_class_token(walked.traced, position)[shown], atol=1e-6)
    assert len({tuple(view.two.values) for view in (e, *e.others) if view.two}) == 3


def test_what_a_vector_is_compared_with_is_known_by_its_id_not_by_its_name(tmp_path: Path) -> None:
    """Long texts that begin alike have one name; a text of the package's own has no id where it is not shown."""
    begins = "a wonderful film . the cat sat on the window sill , and "
    texts = [begins + end for end in ("a dog", "a cat", "the dog is wonderful")]
    model = written("mean", tmp_path / "mean")
    examples = Engine(model, texts).document(full=False).examples
    vectors = {e.id: e.vector for e in examples}
    for e in examples:
        inputs = [label.input for label in e.answers.labels]
        assert sorted(filter(None, inputs)) == sorted({"text-1", "text-2", "text-3"} - {e.id})
        for label, value in zip(e.answers.labels, e.answers.values, strict=True):
            if label.input:
                one, other = vectors[e.id], vectors[label.input]
                assert value == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-5)
    assert all(label.input for e in Engine(model).document(full=False).examples for label in e.answers.labels)


def test_a_model_that_another_library_runs_is_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    config = hf.SplinterConfig(
        vocab_size=120, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    folder = tmp_path / "foreign"
    folders.randomise(hf.SplinterModel(config)).save_pretrained(folder)
    folders.bert_tokenizer(folder)
    with pytest.raises(OptionError, match=r"does not give heads, attention, feedforward;.*classtoken explain"):
        Engine(folder, ["a cat"])
    found = ct.explain(folder, "a red cat", quick=True, methods=["attention"])
    assert found.given is None  # so that its page names no command that is refused


def test_a_picture_keeps_its_own_grid(tmp_path: Path) -> None:
    """Of a model whose pictures have no common one: the grid, the picture in its proportions, no patch of padding."""
    for name, size in (("wide", (60, 20)), ("tall", (20, 50)), ("square", (40, 40))):
        Image.effect_noise(size, 90).convert("RGB").save(tmp_path / f"{name}.png")
    model = written("grids", tmp_path / "model")
    engine = Engine(model, [str(tmp_path / f"{name}.png") for name in ("wide", "tall", "square")])
    wide, tall, square = engine.document(full=False).examples
    for example, wider in ((wide, True), (tall, False)):
        assert example.input.grid is not None
        rows, columns = example.input.grid
        assert (columns > rows) == wider
        assert len(example.tokens) == rows * columns <= 20
        assert example.input.width / example.input.height == pytest.approx(columns / rows)
        assert {token.cell for token in example.tokens} == {divmod(i, columns) for i in range(rows * columns)}
    assert square.input.grid == (4, 4)


def test_what_stands_beside_padding_in_a_batch_is_what_stands_alone(tmp_path: Path) -> None:
    """A picture alone has no padding, and the same vector as with it."""
    picture = Image.effect_noise((60, 20), 90).convert("RGB")
    embedder = ct.load(written("grids", tmp_path / "model"))
    given = prepare_one(embedder.tower().prepare, picture)
    assert given.tokens.grid is not None
    assert given.tokens.roles_BL.shape[1] == given.tokens.grid[0] * given.tokens.grid[1] < 20
    with torch.no_grad():
        alone = subject_of(embedder)(given.tokens)
    assert torch.allclose(alone, torch.from_numpy(embedder.embed([picture])), atol=1e-5)
    seen = given.view.picture
    assert seen is not None
    again = embedder.tower().prepare.collate([embedder.tower().prepare.prepare(picture)])
    assert seen.shape == (8 * given.tokens.grid[0], 8 * given.tokens.grid[1], 3)
    assert again.grids == (given.tokens.grid,)
