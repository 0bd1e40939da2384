"""A walkthrough of real models: the document's arithmetic holds, and its experiments are what they say."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.page import reference as ref
from tests.page.fixture import TOY, picture
from tests.page.tiny import drawn, written

from classtoken.cli import main
from classtoken.embedder import load
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import BlockShape, ImageStem, Shape
from classtoken.errors import OptionError
from classtoken.jobs.walkthrough import document_of, notebook
from classtoken.page.card import NormWeights
from classtoken.page.document import Walkthrough
from classtoken.page.example import CutEffect
from classtoken.probe.run_on import run_on
from classtoken.tensors import Recorder, Tokens, names_of_trace
from classtoken.values import Role
from classtoken.walk.card import trained_on
from classtoken.walk.engine import Engine


@pytest.fixture(scope="module")
def toy() -> Engine:
    return Engine("builtin:toy")


@pytest.fixture(scope="module")
def document(toy: Engine) -> Walkthrough:
    return document_of(toy)


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    """A drawn cat in a file."""
    return drawn("cat", tmp_path / "a.png")


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def norm(x: np.ndarray, p: NormWeights) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    bias = 0 if p.bias is None else p.bias
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + p.eps) * p.weight + bias


def check_arithmetic(page: Walkthrough) -> None:
    """What DATA.md promises to hold between the fields, with what the page holds and nothing else."""
    model, shared = page.model, page.model.shared
    for number, e in enumerate(page.examples):
        layers, close = e.layers, {"rtol": 1e-4, "atol": 1e-4}
        assert e.watched is not None
        assert e.tokens[e.watched].role == "class"
        np.testing.assert_allclose(layers.weights, softmax(layers.scores), **close)
        np.testing.assert_allclose(layers.weights.sum(-1), 1, atol=1e-5)
        if layers.keys is not None:
            scores = np.einsum("nhk,nhlk->nhl", layers.queries, layers.keys) * model.score_scale
            np.testing.assert_allclose(layers.scores, scores, **close)
        if layers.values is not None:
            context = np.einsum("nhl,nhlk->nhk", layers.weights, layers.values.astype(np.float32))
            np.testing.assert_allclose(
                layers.context, context, atol=2e-2 if layers.values.dtype == np.float16 else 1e-4
            )
        bias = 0 if shared.attention_bias is None else shared.attention_bias
        np.testing.assert_allclose(layers.attention, layers.heads.sum(1) + bias, **close)
        for i in range(model.depth):
            first, second = layers.states[i] + layers.attention[i], layers.middle[i] + layers.feedforward[i]
            if shared.norms is not None:
                first, second = norm(first, shared.norms[i].first), norm(second, shared.norms[i].second)
            np.testing.assert_allclose(layers.middle[i], first, **close)
            np.testing.assert_allclose(layers.states[i + 1], second, **close)
        summed = e.embeddings.before + (0 if e.embeddings.position is None else e.embeddings.position)
        if e.embeddings.after is not None and e.embeddings.position is not None:
            assert shared.embedding_norm is not None
            np.testing.assert_allclose(e.embeddings.after, norm(summed, shared.embedding_norm), **close)
        entering = summed if e.embeddings.after is None else e.embeddings.after
        np.testing.assert_allclose(entering[e.watched], layers.states[0], **close)
        if shared.final_norm is not None:
            np.testing.assert_allclose(e.final, norm(layers.states[-1], shared.final_norm), **close)
        if e.answers.all_logits is not None and model.outcome == "probability":
            rows = [label.index for label in e.answers.labels]
            np.testing.assert_allclose(e.answers.values, softmax(e.answers.all_logits)[rows], **close)
            if shared.head is not None and number == 0:
                logits = shared.head.weight @ e.vector + shared.head.bias
                np.testing.assert_allclose(e.answers.logits, logits, rtol=1e-3, atol=1e-3)
        assert e.lens is not None
        np.testing.assert_allclose(e.lens.values[-1], e.answers.values, atol=1e-5)


def test_the_documents_arithmetic_holds(document: Walkthrough) -> None:
    check_arithmetic(document)
    assert [e.title for e in document.examples] == ["a drawn cat", "a drawn dog", "a drawn bird"]
    assert document.toy is not None
    assert document.model.readout.reads_class_token


def test_two_inputs_have_one_class_token(document: Walkthrough) -> None:
    for e in document.examples:
        assert e.contrast is not None
        np.testing.assert_array_equal(e.embeddings.before[e.watched], e.contrast.class_token)
        assert np.abs(e.embeddings.before[1:] - e.contrast.before[1:].astype(np.float32)).max() > 0.1


def test_every_claim_has_its_statistic_and_a_control(document: Walkthrough) -> None:
    assert {claim.id for claim in document.claims} == {"swap-half", "object-share", "cut-last"}
    for claim in document.claims:
        assert claim.n >= 5
        assert claim.control is not None
        assert claim.value.low <= claim.value.mean <= claim.value.high
    (band,) = document.bands
    assert band.control is not None
    assert len(band.values) == len(band.control.values) == document.model.depth
    assert document.calibration is not None
    assert sum(b.n for b in document.calibration.bins) == document.calibration.n


def test_the_laboratory_is_what_it_says(toy: Engine, document: Walkthrough) -> None:
    """Removals, swaps and cuts against another way of doing them: the numpy reference with the model's own weights."""
    e = document.examples[0]
    weights = page_weights(document)
    size = ref.Size(3, 8, 3, 8, 2, 2, 16, 3, weights["eps"])
    pixels = np.asarray(e.input.pixels, dtype=np.float64)
    rows = [label.index for label in e.answers.labels]
    run = ref.forward(size, weights, pixels)
    np.testing.assert_allclose(e.answers.values, run.values[rows], atol=1e-5)
    np.testing.assert_allclose(e.layers.scores, np.stack([layer["scores"][:, 0] for layer in run.layers]), atol=1e-4)
    np.testing.assert_allclose(e.layers.used, np.stack([layer["used"][:, 0] for layer in run.layers]), atol=1e-4)
    assert e.removals is not None
    for token, values in zip(e.removals.tokens, e.removals.values, strict=True):
        without = ref.forward(size, weights, pixels, removed=frozenset({token}))
        np.testing.assert_allclose(values, without.values[rows], atol=1e-5)
    assert e.contrast is not None
    for layer, values in enumerate(e.swaps[0].values):
        swapped = ref.forward(size, weights, pixels, swap=(layer, e.contrast.states[layer].astype(float)))
        np.testing.assert_allclose(values, swapped.values[rows], atol=1e-5)
    for pooling in e.poolings:
        np.testing.assert_allclose(
            pooling.values, ref.forward(size, weights, pixels, pooling=pooling.name).values[rows], atol=1e-5
        )
    assert e.causal is not None
    assert e.causal.values is not None
    np.testing.assert_allclose(e.causal.values, ref.forward(size, weights, pixels, causal=True).values[rows], atol=1e-5)
    assert e.causal.change < 1e-5 < e.causal.reference
    assert e.two is not None
    second = ref.forward(size, weights, pixels, second=True)
    np.testing.assert_allclose(e.two.values, second.values[rows], atol=1e-5)
    np.testing.assert_allclose(second.states[:, 0], second.states[:, 1], atol=1e-12)

    for cut in e.knockouts:

        def mask(scores: np.ndarray, cut: CutEffect = cut) -> np.ndarray:
            scores = scores.copy()
            heads = range(size.heads) if cut.head is None else [cut.head]
            for head in heads:
                scores[head, 0, list(cut.tokens)] = -np.inf
            return scores

        after = ref.forward(size, weights, pixels, cut={cut.layer: mask})
        assert cut.after == pytest.approx(after.values[rows[0]], abs=1e-5)
        assert len(cut.null_values) == 19


def page_weights(document: Walkthrough) -> dict[str, Any]:
    """The toy's weights out of the document, in float64, as the reference takes them."""

    def back(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.astype(np.float64)
        if isinstance(value, dict):
            return {key: back(each) for key, each in value.items()}
        return [back(each) for each in value] if isinstance(value, tuple) else value

    assert document.toy is not None
    return back(asdict(document.toy))


def test_python_and_typescript_share_one_golden_trace() -> None:
    """The encoder gives what the golden trace says; web/tests/maths.test.ts says the same of the page's own maths."""
    weights = ref.random_weights(TOY, 7)
    stem = ImageStem(patch=TOY.patch, image=(6, 6), channels=1, class_tokens=1)
    block = BlockShape(heads=TOY.heads, feedforward_size=TOY.feedforward, norm_eps=TOY.eps)
    encoder = Encoder(Shape(hidden_size=TOY.hidden, depth=TOY.depth, stem=stem, block=block)).eval()

    def put(module: Any, values: dict[str, np.ndarray]) -> None:
        module.weight.copy_(torch.from_numpy(values["weight"]).view_as(module.weight))
        module.bias.copy_(torch.from_numpy(values["bias"]))

    with torch.no_grad():
        start: Any = encoder.stem
        put(start.patch, weights["stem"])
        start.class_token.copy_(torch.from_numpy(weights["class_token"])[None])
        start.position.copy_(torch.from_numpy(weights["positions"]))
        put(encoder.final_norm, weights["final_norm"])
        for i, values in enumerate(weights["blocks"]):
            b = encoder.block(i)
            a, f = b.attention, b.feedforward
            parts = {"norm1": b.attention_norm, "query": a.query, "key": a.key, "value": a.value, "output": a.output}
            for name, module in {**parts, "norm2": b.feedforward_norm, "up": f.up, "down": f.down}.items():
                put(module, values[name])
        pixels = picture(TOY, 1, "disc")
        roles = torch.tensor([[int(Role.CLASS)] + [int(Role.CONTENT)] * 9])
        recorder = Recorder(names_of_trace(TOY.depth))
        encoder(Tokens(roles, pixels=torch.from_numpy(pixels).float()[None], grid=(3, 3)), trace=recorder)
    golden = ref.forward(TOY, weights, pixels)
    for i, layer in enumerate(golden.layers):
        for name in ("scores", "weights", "values", "heads", "attention", "feedforward"):
            np.testing.assert_allclose(recorder.kept[f"blocks.{i}.{name}"][0], layer[name], atol=2e-5)
        np.testing.assert_allclose(recorder.kept[f"blocks.{i}.states"][0], layer["output"], atol=2e-5)
    np.testing.assert_allclose(recorder.kept["final"][0], golden.final, atol=2e-5)


def test_a_server_s_questions(toy: Engine, document: Walkthrough) -> None:
    e = document.examples[0]
    matrix = toy.attention(e.id, 1, 0)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(matrix[0], e.layers.weights[1, 0], atol=1e-6)
    np.testing.assert_allclose(toy.what_if(e.id, {}), e.answers.values, atol=1e-6)
    assert e.removals is not None
    np.testing.assert_allclose(toy.what_if(e.id, {"removed": [e.removals.tokens[2]]}), e.removals.values[2], atol=1e-5)
    assert e.causal is not None
    np.testing.assert_allclose(toy.what_if(e.id, {"causal": True}), e.causal.values, atol=1e-5)
    np.testing.assert_allclose(toy.what_if(e.id, {"pooling": "max"}), e.poolings[2].values, atol=1e-5)
    donor = document.examples[1].id
    np.testing.assert_allclose(
        toy.what_if(e.id, {"swap": {"donor": donor, "layer": 1}}), e.swaps[0].values[1], atol=1e-5
    )
    added = toy.add(_png())
    assert added.origin == "yours"
    assert added.id in toy.walked
    for _ in range(12):
        last = toy.add(_png())
    assert added.id not in toy.walked
    assert last.id in toy.walked
    for example, change, says in (
        ("nobody", {}, "no input"),
        (e.id, {"removed": [0]}, "only patches"),
        (e.id, {"removed": "all"}, "list"),
        (e.id, {"removed": [True]}, "list"),
        (e.id, {"pooling": "map"}, "not offered"),
        (e.id, {"swap": {"donor": donor, "layer": 99}}, "does not exist"),
    ):
        with pytest.raises(OptionError, match=says):
            toy.what_if(example, change)
    with pytest.raises(OptionError, match="no layer"):
        toy.attention(e.id, 9, 0)


def test_what_takes_long_is_asked_for_later(toy: Engine, document: Walkthrough) -> None:
    added = toy.add(_png())
    assert added.removals is None
    assert added.knockouts == ()
    found = toy.experiments(added.id)
    assert found.removals is not None
    assert len(found.removals.tokens) == 9
    assert {cut.layer for cut in found.knockouts} == {0, 1}
    again = toy.experiments("cat")
    e = document.examples[0]
    assert again.removals is not None
    assert e.removals is not None
    np.testing.assert_array_equal(again.removals.values, e.removals.values)
    assert again.knockouts == e.knockouts


# -- several class tokens, registers, distillation tokens --------------------------------------------------------------


def test_a_class_token_for_each_class(picture_file: Path) -> None:
    """Every class token is watched with rows of its own; the page shows the best class's one first."""
    engine = Engine("builtin:scenes-multi", [str(picture_file)])
    page = engine.document(full=False)
    check_arithmetic(page)
    (e,) = page.examples
    labels = engine.subject.labels
    named = [token.text for token in e.tokens if token.role == "class"]
    assert named == [f"class token “{label}”" for label in labels]
    assert e.watched == e.answers.labels[0].index
    assert sorted([e.watched, *(other.position for other in e.others)]) == [0, 1, 2]
    assert page.model.readout.reads == ("class",)
    assert not page.model.readout.reads_class_token
    stem: Any = engine.subject.encoder.shape.stem  # type: ignore[attr-defined]
    assert page.model.stem == ("convolutions" if stem.convolutions else "linear")
    assert e.poolings == ()
    assert e.contrast is not None
    last = page.model.depth - 1
    for other in e.others:
        np.testing.assert_allclose(other.layers.weights, softmax(other.layers.scores), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            other.layers.states[0],
            e.embeddings.before[other.position] + e.embeddings.position[other.position],
            atol=1e-5,
        )
        assert other.layers.keys is None
        matrix = engine.attention(e.id, last, 1)
        np.testing.assert_allclose(other.layers.weights[last, 1], matrix[other.position], atol=1e-5)
        np.testing.assert_allclose(other.layers.back[last, 1], matrix[:, other.position], atol=1e-5)
        assert not np.allclose(other.layers.states[-1], e.layers.states[-1])
    head = page.model.shared.head
    assert head is not None
    assert head.starts is not None
    D = page.model.hidden
    for row, start in enumerate(head.starts):
        logit = head.weight[row] @ e.vector[start : start + D] + head.bias[row]  # type: ignore[index]
        assert logit == pytest.approx(float(e.answers.logits[row]), abs=1e-3)  # type: ignore[index]
    clean = engine.what_if(e.id, {})
    for watched in (0, 1, 2):  # each answers for its own class and for no other
        swapped = engine.what_if(
            e.id,
            {
                "swap": {
                    "donor": engine.add(picture_file.read_bytes()).id,
                    "layer": page.model.depth,
                    "token": watched,
                }
            },
        )
        np.testing.assert_allclose(swapped, clean, atol=1e-5)
    with pytest.raises(OptionError, match="no class token"):
        engine.what_if(e.id, {"swap": {"donor": e.id, "layer": 1, "token": 9}})
    with pytest.raises(OptionError, match="object"):
        engine.what_if(e.id, {"swap": "all"})
    found = engine.experiments(e.id)
    assert len(found.others) == 2
    assert {cut.layer for cut in found.others[0]} == set(range(page.model.depth))


@pytest.mark.parametrize(
    ("name", "roles", "reads", "says"),
    [
        (
            "distilled",
            {"class": 1, "distillation": 1, "content": 16},
            ("class", "distillation"),
            "the distillation token",
        ),
        ("registers", {"class": 1, "register": 3, "content": 16}, ("class", "content"), "the mean of the patches"),
    ],
)
def test_registers_and_distillation_tokens(
    tmp_path: Path, picture_file: Path, name: str, roles: dict[str, int], reads: tuple[str, ...], says: str
) -> None:
    page = Engine(written(name, tmp_path / name), [str(picture_file)]).document(full=False)
    check_arithmetic(page)
    (e,) = page.examples
    assert dict(Counter(token.role for token in e.tokens)) == roles
    assert set(page.model.readout.reads) == set(reads)
    assert not page.model.readout.reads_class_token
    assert "the class token" in page.model.readout.says
    assert says in page.model.readout.says
    assert e.truth.label is None


def test_a_label_that_the_model_does_not_know_is_no_truth(tmp_path: Path) -> None:
    """The drawn cat's label is no class of this model, so the page must not call the answer wrong."""
    engine = Engine(written("registers", tmp_path / "registers"))
    assert {item.label for item in engine.given} == {"cat", "dog", "bird"}
    assert all(e.truth.label is None for e in engine.document(full=False).examples)


@pytest.mark.parametrize(
    ("readme", "says"),
    [
        ("# name\nMade of [wood](https://x.y): `hard`\nand dry.\n\nMore.", "Made of wood: hard and dry."),
        ("---\nlicense: mit\n---\n\n# name\n\n| a | b |\n\n![x](y)\n\nA tree.", "A tree."),
        ("# only a title", "see the README in the model's folder"),
        ("word " * 100, "word " * 51 + "\u2026"),
    ],
)
def test_what_a_model_is_comes_from_its_readme(tmp_path: Path, readme: str, says: str) -> None:
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    assert trained_on(SimpleNamespace(folder=tmp_path)) == says  # type: ignore[arg-type]


def _png() -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(out, "PNG")
    return out.getvalue()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    assert main(["walkthrough", "--model", "builtin:toy", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(said) == ["format_version", "inputs", "layout", "model", "out", "seconds", "size"]
    assert sorted(said["inputs"][0]) == ["answer", "id", "title", "tokens", "value"]
    assert said["size"] == out.stat().st_size < 1_000_000
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    for wrong in (
        ["walkthrough", "--model", "builtin:toy"],
        ["walkthrough", "--model", "builtin:toy", "--out", str(out), "--serve"],
        ["walkthrough", "--model", "builtin:toy", "--out", str(tmp_path / "page.png")],
        ["walkthrough", "--model", "builtin:toy", "--serve", "--host", "0.0.0.0"],
        ["walkthrough", "no-such-picture.jpg", "--model", "builtin:toy", "--out", str(out)],
    ):
        assert main(wrong) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_notebook_draws_the_page() -> None:
    assert notebook("builtin:toy")._repr_html_().startswith("<iframe")


# -- real checkpoints --------------------------------------------------------------------------------------------------


def test_a_real_photograph(shared: Path, tmp_path: Path) -> None:
    """14x14 patches, 12 layers, 3 heads: under 5 MB, arithmetic that holds, the answer that the model gives."""
    model = shared / "models" / "deit-tiny-patch16-224"
    photo = next(path for path in sorted((shared / "data" / "imagenet-samples").iterdir()) if "retriever" in path.name)
    engine = Engine(model, [str(photo)])
    page = engine.document(full=False)
    check_arithmetic(page)
    logits = load(model).logits([photo])[0]
    assert page.examples[0].answers.labels[0].index == int(logits.argmax())
    from classtoken.page.export import write_page

    walked = engine.walked[page.examples[0].id]
    states = [walked.traced.entering(layer) for layer in (0, 5, 11)]
    for layer, x in zip((0, 5, 11), states, strict=True):
        again = run_on(engine.subject, x, walked.prepared.tokens.roles_BL, layer, grid=(14, 14))
        assert again.roles_BL.tolist() == [[Role.CLASS]]  # no other row of the last block was computed
        whole = walked.traced.states.last_BLD
        torch.testing.assert_close(again.last_BLD, whole[:, :1], atol=1e-4, rtol=1e-4)
    assert write_page(page, tmp_path / "page.html") < 4_950_000
    assert page.examples[0].layers.keys is not None


def test_a_sentence_and_a_model_without_classes(minilm: Path) -> None:
    engine = Engine(minilm, ["The cat sat on the ☂ window sill.", "A dog."])
    page = engine.document(full=False)
    check_arithmetic(page)
    e = page.examples[0]
    assert page.model.outcome == "cosine"
    assert page.model.norm == "post"
    assert not page.model.readout.reads_class_token
    assert e.tokens[0].role == "class"
    assert e.tokens[-1].role == "end"
    text = e.input.text or ""
    units = text.encode("utf-16-le")
    spelt = [units[2 * t.span[0] : 2 * t.span[1]].decode("utf-16-le") for t in e.tokens if t.span]
    assert spelt[:4] == ["The", "cat", "sat", "on"]
    theirs = load(minilm).embed([text, "The cat sat on the window sill and watched the birds."])
    place = next(i for i, label in enumerate(e.answers.labels) if label.text.startswith("The cat sat"))
    assert float(e.answers.values[place]) == pytest.approx(float(theirs[0] @ theirs[1]), abs=1e-4)
