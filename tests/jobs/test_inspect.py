"""`inspect`: what the files say and what the numbers say, side by side."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests import folders

import classtoken as ct
from classtoken.contract import checks, reference
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import BlockShape, ImageStem, Shape
from classtoken.errors import ClasstokenError
from classtoken.jobs import inspect as inspect_job
from classtoken.results.inspect import Inspection, Verdict
from classtoken.tensors import States, Tokens


def claim(found: Inspection, subject: str) -> tuple[str, Verdict]:
    return next((c.value, c.verdict) for c in found.claims if c.subject == subject)


def test_the_published_deit(shared: Path) -> None:
    found = ct.inspect(shared / "models/deit-tiny-patch16-224")
    assert str(found.layout) == "1 class + 14x14 patch = 197"
    assert found.contract.pooling == "cls"
    recommended = next(v for v in found.vectors if v.recommended)
    assert (recommended.spec, recommended.size) == ("cls", 192)
    pooler = next(v for v in found.vectors if v.spec == "pooler")
    assert (pooler.weights, pooler.available) == ("MISSING", False)
    assert claim(found, "pooler_output")[0].startswith("RANDOM in transformers")
    assert claim(found, "same states as transformers") == ("yes", Verdict.PROVED)
    assert any("squashes every image to 256x256" in line for line in found.advice)
    assert "after the final norm" in str(found)


def test_the_published_minilm(minilm: Path) -> None:
    found = ct.inspect(minilm)
    contract = found.contract
    assert (contract.pooling, contract.unit_length, contract.max_length) == ("mean", True, 256)
    assert contract.source == "modules.json"
    assert claim(found, "pooler_output")[1] == Verdict.PROVED
    assert claim(found, "left padding") == ("does not move the vector", Verdict.PROVED)


def test_json_comes_back_equal(tmp_path: Path) -> None:
    found = ct.inspect(folders.tiny_vit(tmp_path / "vit"))
    assert Inspection.from_json(found.to_json()) == found
    assert set(json.loads(found.to_json())) == {"format", "model", "towers", "labels", "verified", "notes", "against"}


def test_without_experiments_only_files_speak(tmp_path: Path) -> None:
    found = ct.inspect(folders.tiny_bert(tmp_path / "bert"), verify=False)
    assert [c.subject for c in found.claims] == ["pooling"]


def test_the_formula_of_pooler_output_is_found_by_trying(tmp_path: Path) -> None:
    found = ct.inspect(folders.tiny_bert(tmp_path / "bert"))
    assert claim(found, "pooler_output") == (
        "tanh(W x + b) of the class token's state after the final norm",
        Verdict.PROVED,
    )


def test_a_bert_without_pooler_weights(tmp_path: Path) -> None:
    found = ct.inspect(folders.tiny_bert(tmp_path / "bert", pooler=False))
    assert claim(found, "pooler_output")[0].startswith("RANDOM")
    assert next(v for v in found.vectors if v.spec == "pooler").available is False


def test_the_reference_is_asked_once_for_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look does not open transformers' model again; other numbers of ours, or other files, ask anew."""
    asked = []
    original = reference.reference_of
    monkeypatch.setattr(reference, "reference_of", lambda folder: asked.append(folder) or original(folder))
    folder = folders.tiny_bert(tmp_path / "bert")
    first = ct.inspect(folder)
    assert ct.inspect(folder) == first
    assert len(asked) == 1
    monkeypatch.setattr(Encoder, "forward", off(Encoder.forward))
    assert claim(ct.inspect(folder), "same states as transformers") == ("NO", Verdict.REFUTED)
    assert len(asked) == 2
    monkeypatch.undo()
    monkeypatch.setattr(reference, "reference_of", lambda folder: asked.append(folder) or original(folder))
    (folder / "generation_config.json").write_text("{}")
    assert ct.inspect(folder) == first
    assert len(asked) == 3


def off(forward: object) -> object:
    """A forward whose states are a little off."""

    def wrong(self: Encoder, *arguments: object, **named: object) -> States:
        states = forward(self, *arguments, **named)  # type: ignore[operator]
        layers = {name: value * 1.001 for name, value in states.layers.items()}
        return replace(states, last_BLD=states.last_BLD * 1.001, layers=layers)

    return wrong


class TestExperimentsSeeWhatIsWrong:
    """Each check is shown a model of which the opposite is true."""

    def tokens(self, encoder: Encoder, seed: int) -> Tokens:
        pixels = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
        return Tokens(torch.tensor([encoder.layout.roles()]), pixels=pixels)

    def encoder(self, **block: object) -> Encoder:
        stem = ImageStem(patch=8, image=(16, 16), class_tokens=1)
        shape = Shape(hidden_size=16, depth=2, stem=stem, block=BlockShape(heads=2, feedforward_size=16, **block))
        return Encoder(shape).initialise(0).eval()

    def test_a_causal_mask_is_seen(self) -> None:
        for causal, word in ((False, "bidirectional"), (True, "causal")):
            encoder = self.encoder(causal=causal)
            tokens = self.tokens(encoder, 0)
            changed = Tokens(tokens.roles_BL, pixels=tokens.pixels.clone())
            changed.pixels[..., -1, -1] += 5.0
            assert checks.reach(encoder, (tokens, changed)).value.startswith(word)

    def test_a_class_token_that_depends_on_the_input_is_seen(self) -> None:
        encoder = self.encoder()
        first, second = self.tokens(encoder, 0), self.tokens(encoder, 1)
        assert checks.class_token_is_constant(encoder, first, second).verdict == Verdict.PROVED

        def leaking(tokens: Tokens, **given: object) -> object:
            trace = given.pop("trace")
            return encoder(tokens, trace=Leak(trace, tokens.pixels.mean()), **given)

        assert checks.class_token_is_constant(leaking, first, second).verdict == Verdict.REFUTED

    def test_a_random_vector_is_seen(self) -> None:
        assert checks.deterministic(lambda: torch.ones(3)).verdict == Verdict.PROVED
        assert checks.deterministic(lambda: torch.randn(3)).verdict == Verdict.REFUTED

    def test_a_vector_that_padding_moves_is_seen(self) -> None:
        assert checks.unmoved("padding", torch.ones(3), torch.ones(3) + 1e-7, "x").verdict == Verdict.PROVED
        moved = checks.unmoved("padding", torch.ones(3), torch.ones(3) + 1e-3, "padded")
        assert moved.verdict == Verdict.REFUTED
        assert "1.0e-03" in moved.evidence[0].says


class Leak:
    """A trace that adds something of the input to the embeddings before they are recorded."""

    def __init__(self, inner: object, amount: torch.Tensor):
        self.inner, self.amount = inner, amount

    def wants(self, name: str) -> bool:
        return self.inner.wants(name)

    def __call__(self, name: str, value: torch.Tensor) -> torch.Tensor:
        return self.inner(name, value + self.amount if name == "embeddings" else value)


@pytest.mark.parametrize("wrong", ["nothing/here/at/all", "./missing"])
def test_what_is_no_model_is_one_line(wrong: str) -> None:
    with pytest.raises(ct.errors.ModelError, match="there is no folder") as error:
        ct.inspect(wrong)
    assert "\n" not in str(error.value)


def test_experiments_wait_for_no_second_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a second thread that is not at work makes each small product wait."""
    folders.tiny_vit(tmp_path / "vit")
    seen: list[int] = []
    real = inspect_job.experiments
    monkeypatch.setattr(inspect_job, "experiments", lambda *given: seen.append(torch.get_num_threads()) or real(*given))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        ct.inspect(tmp_path / "vit")
        assert (seen, torch.get_num_threads()) == ([1], 2)
        with pytest.raises(ClasstokenError):
            ct.inspect(tmp_path / "nothing")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
