"""One input, one model, one number: `explain`, `predict`, `walkthrough` and `Embedder.probabilities` agree."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classtoken import explain, predict, read
from classtoken.cli import main
from classtoken.drawn import draw, draw_tiny
from classtoken.embedder import Embedder, load
from classtoken.encoder.locate import locate
from classtoken.probe.from_embedder import subject_of
from classtoken.results.explain import Explanation
from classtoken.walk.engine import Engine

MODELS = ("builtin:toy", "builtin:scenes", "builtin:photos", "builtin:scenes-multi", "builtin:sentiment")
TEXT = "A wonderful film, if somewhat long."


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_verb_gives_one_probability(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    embedder = load(name)
    classifier = embedder.tower().reading.classifier
    assert classifier is not None
    assert classifier.temperature != 1  # else the test would say nothing
    source, item = written(embedder, name, tmp_path)
    expected = dict(zip(embedder.labels, embedder.probabilities([item])[0], strict=True))
    capsys.readouterr()

    assert main(["explain", item, "--model", name, "--quick", "--methods", "attention", "--json"]) == 0
    found = Explanation.from_json(capsys.readouterr().out)
    for answer in found.answers:
        assert answer.probability == pytest.approx(expected[answer.label], abs=1e-6)
    assert found.before == pytest.approx(expected[found.target_label], abs=1e-6)
    assert found.lens[-1].target == pytest.approx(found.before, abs=1e-6)
    assert all(k.before == pytest.approx(found.before, abs=1e-6) for k in found.knockouts)

    assert main(["predict", str(source), "--model", name, "--out", str(tmp_path / "p"), "--all", "--json"]) == 0
    json.loads(capsys.readouterr().out)
    with (tmp_path / "p" / "predictions.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    for label, p in expected.items():
        assert float(row[f"p:{label}"]) == pytest.approx(p, abs=1e-6)

    (example,) = Engine(name, [item]).document(full=False).examples
    for label, value in zip(example.answers.labels, example.answers.values, strict=True):
        assert float(value) == pytest.approx(expected[label.text], abs=1e-6)


def test_a_prompt_that_is_not_pooled_is_pooled_by_no_verb(tmp_path: Path) -> None:
    """With include_prompt: false, sentence-transformers leaves it out of the mean, which a classifier then reads."""
    model = shutil.copytree(locate("builtin:sentiment"), tmp_path / "model")
    saved = json.loads((model / "classtoken.json").read_text())
    saved["readout"]["pooling"] = "mean"
    (model / "classtoken.json").write_text(json.dumps(saved))
    prompt, found = "terrible, awful: ", []
    for include in (True, False):
        pooling = {"word_embedding_dimension": 128, "pooling_mode_mean_tokens": True, "include_prompt": include}
        (model / "1_Pooling/config.json").write_text(json.dumps(pooling))
        embedder = load(model)
        expected = dict(zip(embedder.labels, embedder.probabilities([TEXT], prompt_text=prompt)[0], strict=True))
        explained = explain(embedder, TEXT, prompt_text=prompt, quick=True, methods=("attention",))
        assert explained.before == pytest.approx(expected[explained.target_label], abs=1e-6)
        (tmp_path / "text.txt").write_text(TEXT + "\n")
        predict(embedder, tmp_path / "text.txt", tmp_path / f"p{include}", prompt_text=prompt)
        probabilities = read(tmp_path / f"p{include}").arrays["probabilities"][0]
        np.testing.assert_allclose(probabilities, list(expected.values()), atol=1e-6)
        found.append(expected["positive"])
    assert abs(found[0] - found[1]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["builtin:toy", "builtin:sentiment"])
def test_a_cut_a_swap_and_a_removal_are_one_number_in_explain_and_on_the_page(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the page shows is asked again of `explain`, in the words of its own options."""
    item, donor = two_items(name, tmp_path)
    page = Engine(name, [item, donor]).document()
    e = page.examples[0]
    target, removals = e.answers.labels[0], e.removals
    assert removals is not None
    cuts = [k for k in e.knockouts if k.head is None]
    assert len(cuts) == page.model.depth
    words = [f"edges:class>{','.join(map(str, k.tokens))}@{k.layer}" for k in cuts]
    words += [f"removed:{token}" for token in removals.tokens[:2]]

    asked = [part for word in words for part in ("--cut", word)]
    asked += ["--mode", "renormalise", "--donor", donor, "--class", target.text]
    capsys.readouterr()
    assert main(["explain", item, "--model", name, "--methods", "attention", *asked, "--json"]) == 0
    found = Explanation.from_json(capsys.readouterr().out)

    knockouts = {k.what: k for k in found.knockouts}
    for word, shown in zip(words, cuts, strict=False):
        assert knockouts[word].before == pytest.approx(shown.before, abs=1e-6)
        assert knockouts[word].after == pytest.approx(shown.after, abs=1e-6)
        assert knockouts[word].null
        assert knockouts[word].possible == shown.possible
    for word, values in zip(words[len(cuts) :], removals.values, strict=False):
        assert knockouts[word].after == pytest.approx(float(values[0]), abs=1e-6)
    swaps = [step.target for step in found.swaps if step.what == "CLASS"]
    np.testing.assert_allclose(swaps, e.swaps[0].values[:, 0], atol=1e-6)
    assert e.lens is not None
    np.testing.assert_allclose([step.target for step in found.lens], e.lens.values[:, 0], atol=1e-6)


def two_items(name: str, folder: Path) -> tuple[str, str]:
    """Two inputs of a model, which the page puts beside each other."""
    if name == "builtin:sentiment":
        return TEXT, "The plot is thin and the jokes fall flat."
    draws = draw_tiny if name == "builtin:toy" else draw
    for number in (4, 5):
        Image.fromarray(draws(3, number).image).save(folder / f"{number}.png")
    return str(folder / "4.png"), str(folder / "5.png")


def test_a_single_logit_is_a_sigmoid() -> None:
    """A softmax over one class would be 1 for every input."""
    classifier = load("builtin:toy").tower().reading.classifier
    assert classifier is not None
    one = torch.tensor([[0.0], [3.0]])
    np.testing.assert_allclose(classifier.probabilities(one)[0], 0.5)
    subject = subject_of(load("builtin:toy"))
    assert subject.temperature == classifier.temperature


def written(embedder: Embedder, name: str, folder: Path) -> tuple[Path, str]:
    """A SOURCE of one record, and that record as an item."""
    if embedder.modalities == ("text",):
        (folder / "texts.txt").write_text(TEXT + "\n")
        return folder / "texts.txt", TEXT
    (folder / "pictures").mkdir()
    scene = draw_tiny(3, 4) if name == "builtin:toy" else draw(3, 4)
    Image.fromarray(scene.image).save(folder / "pictures" / "a.png")
    return folder / "pictures", str(folder / "pictures" / "a.png")
