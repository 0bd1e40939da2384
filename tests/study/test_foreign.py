"""Which invariants hold for a foreign module: all that need attention and states, none that needs its weights.

The same table stands in docs/explain.md.
"""

import pytest
import torch
import transformers as hf
from tests.probe.subjects import ClassState, kept_values, removing
from torch import nn

from classtoken.encoder.foreign.model import Foreign
from classtoken.errors import TraceError
from classtoken.maps.integrated import integrated, masked_text, mean_image
from classtoken.maps.relevance import (
    chefer,
    chefer_matrix,
    gradient_attention,
)
from classtoken.maps.rollout import roll, routes
from classtoken.maps.table import Setting, available
from classtoken.probe.accounting import ledger
from classtoken.probe.capture import Leaf
from classtoken.probe.interventions import PatchStates, before_layer, cut_tokens
from classtoken.probe.lens import lens
from classtoken.probe.subject import Subject
from classtoken.probe.traced import trace
from classtoken.tensors import Tokens
from classtoken.values import Role

EXACT = 1e-12
SMALL = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 48}


def vit() -> nn.Module:
    return hf.ViTModel(hf.ViTConfig(image_size=16, patch_size=4, **SMALL), add_pooling_layer=False)


def registers() -> nn.Module:
    sizes = {k: v for k, v in SMALL.items() if k != "intermediate_size"}
    return hf.Dinov2WithRegistersModel(
        hf.Dinov2WithRegistersConfig(image_size=16, patch_size=4, num_register_tokens=2, **sizes)
    )


def bert() -> nn.Module:
    return hf.BertModel(hf.BertConfig(vocab_size=40, max_position_embeddings=16, **SMALL), add_pooling_layer=False)


MODELS = {"ViT": vit, "registers": registers, "BERT": bert}


def batch(foreign: Foreign, seed: int) -> Tokens:
    generator = torch.Generator().manual_seed(seed)
    if foreign.modality == "text":
        roles = torch.full((2, 8), int(Role.CONTENT))
        roles[:, 0], roles[:, -1] = int(Role.CLASS), int(Role.END)
        return Tokens(roles, ids_BL=torch.randint(5, 40, (2, 8), generator=generator))
    roles = torch.tensor([int(role) for role in foreign.layout.roles()]).expand(2, -1)
    pixels = torch.empty(2, 3, 16, 16, dtype=torch.float64).normal_(generator=generator)
    return Tokens(roles, pixels=pixels, grid=foreign.layout.grid)


@pytest.fixture(params=sorted(MODELS))
def subject(request: pytest.FixtureRequest) -> Subject:
    torch.manual_seed(0)
    model = MODELS[request.param]().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(noise * 0.3 if parameter.dim() > 1 else parameter + noise * 0.1)
    head = nn.Linear(24, 5).double()
    return Subject(Foreign(model, "text" if request.param == "BERT" else "image"), ClassState(), head)


def tokens_of(subject: Subject, seed: int = 1) -> Tokens:
    assert isinstance(subject.encoder, Foreign)
    return batch(subject.encoder, seed)


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


TARGETS = torch.tensor([1, 3])


def test_1_2_18_rows_and_capture(subject: Subject) -> None:
    tokens = tokens_of(subject)
    captured = trace(subject, tokens, ["scores", "weights", "values", "states", "embeddings"])
    with torch.no_grad():
        assert far(captured.outcome_BC, subject(tokens)) < EXACT
    assert len(captured.parts["weights"]) == 3
    for weights in captured.parts["weights"]:
        assert (weights.sum(-1) - 1).abs().max() < EXACT


def test_2_capture_is_the_references_own_output_attentions(subject: Subject) -> None:
    tokens = tokens_of(subject)
    model = subject.encoder.model  # type: ignore[attr-defined]
    ours = trace(subject, tokens, ["weights"]).parts["weights"]
    model.set_attn_implementation("eager")
    inputs = {"input_ids": tokens.ids_BL} if tokens.ids_BL is not None else {"pixel_values": tokens.pixels}
    with torch.no_grad():
        theirs = model(**inputs, output_attentions=True).attentions
    # The reference takes its softmax in float32 whatever the model's precision.
    assert all(far(a, b) < 1e-6 for a, b in zip(ours, theirs, strict=True))


def test_6_patching_states(subject: Subject) -> None:
    tokens, others = tokens_of(subject), tokens_of(subject, 2)
    with torch.no_grad():
        clean, donor = subject(tokens), subject(others)
        for layer in range(4):
            name = before_layer(layer, 3)
            own, theirs = (kept_values(subject, t, [name])[name] for t in (tokens, others))
            assert far(subject(tokens, PatchStates(name=name, value_BLD=own)), clean) < EXACT
            assert far(subject(tokens, PatchStates(name=name, value_BLD=theirs)), donor) < EXACT


def test_7_removal_is_the_references_own_mask(subject: Subject) -> None:
    tokens = tokens_of(subject)
    gone = torch.zeros_like(tokens.roles_BL, dtype=torch.bool)
    gone[:, [4, 5]] = True
    removed = removing(subject, tokens, gone)
    with torch.no_grad():
        assert far(removed, subject(tokens, cut_tokens(gone, "renormalise"))) < EXACT
        if tokens.ids_BL is not None:
            model = subject.encoder.model  # type: ignore[attr-defined]
            masked = model(input_ids=tokens.ids_BL, attention_mask=(~gone).long()).last_hidden_state[:, 0]
            assert subject.head is not None
            assert far(removed, subject.head(masked)) < 1e-9
        assert far(removed, subject(tokens)) > 1e-6


def test_8_9_order_and_last_patches(subject: Subject) -> None:
    tokens = tokens_of(subject)
    content = (tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
    states = kept_values(subject, tokens, ["embeddings"])["embeddings"]
    mixed = states.clone()
    mixed[:, content] = states[:, content[torch.randperm(len(content))]]
    with torch.no_grad():
        assert far(subject(tokens, PatchStates(name="embeddings", value_BLD=mixed)), subject(tokens)) < 1e-11
    leaf = Leaf("blocks.2.states")
    picked = subject(tokens, leaf).gather(1, TARGETS[:, None]).sum()
    assert leaf.value is not None
    (gradient,) = torch.autograd.grad(picked, leaf.value)
    assert (gradient[tokens.roles_BL != Role.CLASS] == 0).all()


def test_10_rollout_and_routes(subject: Subject) -> None:
    tokens = tokens_of(subject)
    R = roll(trace(subject, tokens))
    assert (R.sum(-1) - 1).abs().max() < EXACT
    start = (tokens.roles_BL == Role.CLASS).long().argmax(1)
    assert far(routes(trace(subject, tokens), start).row(), R[torch.arange(2), start]) < EXACT


def test_13_14_gradients(subject: Subject) -> None:
    tokens = tokens_of(subject)
    found = trace(subject, tokens, gradients=True).gradients(TARGETS)
    eye = torch.eye(tokens.roles_BL.shape[1], dtype=torch.float64)
    assert (chefer_matrix(found) >= eye).all()
    h, layer = 1e-3, 1

    def faded(t: float) -> float:
        class Fade:
            def wants(self, name: str) -> bool:
                return name == f"blocks.{layer}.weights"

            def __call__(self, name: str, value: torch.Tensor) -> torch.Tensor:
                if not self.wants(name):
                    return value
                value = value.clone()
                value[0, 1, 0, 3] *= 1 - t
                return value

        with torch.no_grad():
            return float(subject(tokens, Fade())[0, 1])

    slope = (8 * (faded(h) - faded(-h)) - (faded(2 * h) - faded(-2 * h))) / (12 * h)
    assert abs(float(-(found.weights[layer] * found.gradients[layer])[0, 1, 0, 3]) - slope) < 1e-11


def test_15_integrated_gradients(subject: Subject) -> None:
    tokens = tokens_of(subject)
    baseline = mean_image(tokens) if tokens.pixels is not None else masked_text(tokens, 4)
    assert (integrated(trace(subject, tokens, gradients=True), TARGETS, baseline).error_B < 0.01).all()


def test_19_20_nothing_is_left_behind_and_weights_matter(subject: Subject) -> None:
    tokens = tokens_of(subject)
    model = subject.encoder.model  # type: ignore[attr-defined]
    before = model.config._attn_implementation
    state = torch.random.get_rng_state()
    first = chefer(trace(subject, tokens, gradients=True), TARGETS)
    gradient_attention(trace(subject, tokens, gradients=True), TARGETS)
    assert model.config._attn_implementation == before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert far(chefer(trace(subject.randomised(seed=1), tokens, gradients=True), TARGETS), first) > 1e-3


def test_3_4_5_16_are_refused_in_words(subject: Subject) -> None:
    """The accounts need the output weights and the norms, which a foreign module does not show."""
    tokens = tokens_of(subject)
    with pytest.raises(TraceError, match="exact accounting needs"):
        ledger(trace(subject, tokens), torch.zeros(2, 1, dtype=torch.long))
    with pytest.raises(TraceError, match="lens needs"):
        lens(trace(subject, tokens))
    with pytest.raises(TraceError, match="cannot give attention, feedforward, heads"):
        trace(subject, tokens, ["heads", "attention", "feedforward"], strict=True)
    assert "heads" not in trace(subject, tokens, ["weights", "heads"]).parts
    names = {method.name for method in available(subject, tokens)}
    assert {"attention", "rollout", "flow", "chefer", "integrated", "occlusion"} <= names
    assert not {"direct", "weighted_attention"} & names
    traced = trace(subject, tokens, gradients=True)
    for method in available(subject, tokens):
        scores = method.run(traced, TARGETS, Setting(patch=4, mask_id=4))
        assert scores.shape == tokens.roles_BL.shape
        assert torch.isfinite(scores).all()
