"""Heads and learned poolings on frozen features."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.folders import tiny_bert, tiny_vit
from tests.learning.training import predict, texts, told, train

from classtoken.embedder import load
from classtoken.errors import OptionError
from classtoken.learning.data.batches import Batches, Feed
from classtoken.learning.recipe import Recipe
from classtoken.learning.ways import frozen
from classtoken.sink.quarantine import read_quarantine


@pytest.mark.slow
def test_a_head_on_frozen_vectors(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    bad = squares / "red" / "broken.png"
    bad.write_bytes(b"no image")
    result = train(squares, tmp_path / "model", model=vit, recipe=Recipe())
    assert result.way == "frozen"
    assert result.scores["accuracy"] > 0.8
    assert result.refused == 1
    assert [entry.id for entry in read_quarantine(tmp_path / "model")] == ["red/broken.png"]
    assert not result.features_cached
    again = train(squares, tmp_path / "model", model=vit, recipe=Recipe())
    assert (again.scores, again.seconds) == (result.scores, result.seconds)
    before, after = load(vit), load(tmp_path / "model")
    path = squares / "red/00.png"
    ours, theirs = before.encoder.state_dict(), after.encoder.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert np.abs(before.embed(path, pooling="cls") - after.embed(path)).max() < 1e-5
    assert after.labels == ("blue", "green", "red")
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "model")
    assert (predicted.records, predicted.refused) == (60, 1)
    assert predicted.accuracy is not None
    assert predicted.accuracy > 0.9


@pytest.mark.slow
def test_heads_of_few_records_take_steps_enough(tmp_path: Path, squares: Path) -> None:
    """Ten epochs of 54 records are ten steps: a cosine head needs a thousand, unless something else is said."""
    vit = tiny_vit(tmp_path / "vit")
    result = train(squares, tmp_path / "model", model=vit, recipe=told(head="cosine"))
    assert result.steps == 1000
    assert train(squares, tmp_path / "few", model=vit, recipe=told(head="cosine", epochs=3.0)).steps == 3


@pytest.mark.parametrize(("head", "pooling"), [("cosine", "cls"), ("mlp", "cls"), ("linear", "queries(2)")])
def test_the_rows_that_choose_a_rate_do_not_judge_it(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch, head: str, pooling: str
) -> None:
    """The best of ten rates looks better on the rows that chose it than it is."""
    fed: list[set[int]] = []
    judged: list[set[int]] = []

    class Noted(Feed):
        def __init__(self, data: Batches, rows: torch.Tensor, batch: int, seed: int) -> None:
            super().__init__(data, rows, batch, seed)
            fed.append(set(rows.tolist()))

    def noted(way: Callable[..., frozen.ChosenHead]) -> Callable[..., frozen.ChosenHead]:
        def made(*given: Any) -> frozen.ChosenHead:
            chosen = way(*given)
            assert chosen.judged is not None
            judged.append(set(chosen.judged.tolist()))
            return chosen

        return made

    monkeypatch.setattr(frozen, "Feed", Noted)
    for way in ("head_of_a_grid", "learned_pooling"):
        monkeypatch.setattr(frozen, way, noted(getattr(frozen, way)))
    recipe = told(head=head, pooling=pooling, epochs=2.0, held_out=0.3)
    train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"), recipe=recipe)
    learned, choosing = fed[:2]
    (judging,) = judged
    assert choosing
    assert judging
    assert not choosing & judging
    assert not learned & (choosing | judging)


@pytest.mark.slow
def test_the_score_that_chooses_is_chosen(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    for head in ("linear", "mlp"):
        recipe = {"head": {"kind": head}, "loop": {"metric": "loss", "epochs": 2.0}}
        result = train(squares, tmp_path / head, model=vit, recipe=Recipe.from_dict(recipe))
        assert max(trial.score for trial in result.trials) < 0  # a loss, turned so that larger is better
        wrong = Recipe.from_dict({**recipe, "loop": {"metric": "spearman"}})
        with pytest.raises(OptionError, match="'spearman' cannot choose here; there are accuracy, macro_f1, loss"):
            train(squares, tmp_path / f"{head}-wrong", model=vit, recipe=wrong)


@pytest.mark.slow
def test_several_labels_balanced_with_every_head(tmp_path: Path) -> None:
    rows = [f"{text},{'long' if len(text) > 12 else 'short'}{'|the' if 'the' in text else ''}" for text in texts(40)]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    bert = tiny_bert(tmp_path / "bert")
    for head in ("linear", "mlp"):
        recipe = told(head=head, balanced=True, epochs=10.0, batch=8, held_out=0.25)
        result = train(tmp_path / "texts.csv", tmp_path / head, model=bert, recipe=recipe)
        assert result.task == "multilabel"
        assert result.scores["mean_average_precision"] > 0.7
    recipe = told(unfreeze="all", balanced=True, epochs=4.0, batch=8, held_out=0.25, augment=False)
    result = train(tmp_path / "texts.csv", tmp_path / "tuned", model=bert, recipe=recipe)
    assert result.scores["mean_average_precision"] > 0.5


@pytest.mark.parametrize("how", [{"pooling": "queries(2)"}, {"unfreeze": "last-1", "pooling": "cls"}])
def test_rare_labels_are_expected_as_often_as_they_are_after_a_few_steps(tmp_path: Path, how: dict[str, Any]) -> None:
    """From biases of 0 a label that one text of ten has would have a probability near 0.5."""
    rows = [
        f"{text},{'all|rare' if i % 10 == 0 else 'all|some' if i % 2 else 'all'}" for i, text in enumerate(texts(60))
    ]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    recipe = told(epochs=1.0, batch=30, held_out=0.2, **how)
    train(tmp_path / "texts.csv", tmp_path / "model", model=tiny_bert(tmp_path / "bert"), recipe=recipe)
    model = load(tmp_path / "model")
    assert model.labels == ("all", "rare", "some")
    found = model.probabilities(texts(20)).mean(0)
    assert found[0] > 0.85
    assert found[1] < 0.25
