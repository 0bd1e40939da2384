"""Modules that are not ours behind the same forward: equal numbers, declared gaps, nothing left changed or random."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from tests.encoder.cases_image import DINO, SMALL, VIT
from tests.encoder.parity import TOLERANCE, randomise, relative
from torch import Tensor, nn

from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.encoder.foreign.files import load_foreign
from classtoken.encoder.foreign.model import Foreign
from classtoken.encoder.towers import load_towers
from classtoken.errors import TraceError
from classtoken.tensors import Recorder, Tokens, names_of_trace
from classtoken.values import Role

WORDS = {**SMALL, "vocab_size": 60, "max_position_embeddings": 20}
SWIN = {"image_size": 32, "patch_size": 4, "window_size": 4, "embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2]}


def made(build: Any, folder: Path) -> nn.Module:
    """A tiny model of transformers with no weight at its initial value, on disk."""
    torch.manual_seed(0)
    model: nn.Module = build().eval()
    randomise(model)
    model.save_pretrained(folder)
    return model


def deberta() -> nn.Module:
    config = hf.DebertaV2Config(**WORDS, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=4)
    return hf.DebertaV2Model(config)


def swin() -> nn.Module:
    return hf.SwinModel(hf.SwinConfig(**SWIN))


def convnext() -> nn.Module:
    return hf.ConvNextModel(hf.ConvNextConfig(image_size=64, hidden_sizes=[8, 16], depths=[1, 1], num_stages=2))


def mobilebert() -> nn.Module:
    return hf.MobileBertModel(hf.MobileBertConfig(**WORDS, embedding_size=32, intra_bottleneck_size=32))


def gpt2() -> nn.Module:
    return hf.GPT2Model(hf.GPT2Config(n_embd=32, n_layer=3, n_head=4, vocab_size=60, n_positions=20))


def esm() -> nn.Module:
    config = hf.EsmConfig(
        **WORDS, pad_token_id=1, mask_token_id=2, position_embedding_type="rotary", token_dropout=False
    )
    return hf.EsmModel(config, add_pooling_layer=False)


def vit() -> nn.Module:
    return hf.ViTModel(hf.ViTConfig(**VIT), add_pooling_layer=False)


def registers() -> nn.Module:
    return hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**DINO, num_register_tokens=3))


def bert() -> nn.Module:
    return hf.BertModel(hf.BertConfig(**WORDS), add_pooling_layer=False)


def text_batch() -> Tokens:
    ids = torch.randint(5, 60, (2, 9))
    roles = torch.full_like(ids, Role.CONTENT)
    roles[0, 6:] = int(Role.PAD)
    return Tokens(roles, ids)


def image_batch(foreign: Foreign, side: int) -> Tokens:
    roles = torch.tensor([int(role) for role in foreign.layout.roles()])
    return Tokens(roles.expand(2, -1), pixels=torch.randn(2, 3, side, side))


def read(build: Any, folder: Path) -> tuple[nn.Module, Foreign]:
    model = made(build, folder)
    ((modality, loaded),) = load_foreign(open_checkpoint(folder))
    foreign: Any = loaded.encoder
    assert isinstance(foreign, Foreign)
    assert foreign.modality == modality
    return model, foreign


ATTENTION = {"scores", "weights", "values"}
INSIDE = {"heads", "attention", "feedforward"}
TEXTS = {
    "deberta": (deberta, ATTENTION | INSIDE),
    "mobilebert": (mobilebert, INSIDE),
    "esm": (esm, INSIDE),
    "gpt2": (gpt2, INSIDE),
}


def batch_for(name: str) -> Tokens:
    """Padded, but for a model that mixes padding in: there the reference's own padded batch is not what is right."""
    tokens = text_batch()
    if name != "mobilebert":  # its embeddings are of three neighbours
        return tokens
    assert tokens.ids_BL is not None
    return Tokens(roles_BL=tokens.roles_BL[1:], ids_BL=tokens.ids_BL[1:])


@pytest.mark.parametrize("name", TEXTS)
@torch.no_grad()
def test_texts(name: str, tmp_path: Path) -> None:
    build, gaps = TEXTS[name]
    model, foreign = read(build, tmp_path)
    tokens = batch_for(name)
    assert set(foreign.gaps) == gaps
    assert (foreign.depth, foreign.heads, foreign.hidden_size) == (3, 4, 32)
    assert str(foreign.layout) == "n word piece"
    assert foreign.causal == (name == "gpt2")
    inputs = {"input_ids": tokens.ids_BL, "attention_mask": tokens.mask_BL.long()}
    expected = model(**inputs, output_hidden_states=True)
    states = foreign(tokens, layers=("embeddings", 0, -2))
    keep = tokens.mask_BL
    assert relative(expected.last_hidden_state, states.last_BLD, keep) < TOLERANCE
    assert relative(expected.hidden_states[0], states.layers["embeddings"], keep) < TOLERANCE
    assert relative(expected.hidden_states[1], states.layers[0], keep) < TOLERANCE
    assert relative(expected.hidden_states[2], states.layers[-2], keep) < TOLERANCE


@pytest.mark.parametrize("name", [name for name, (_, gaps) in TEXTS.items() if "weights" not in gaps])
@torch.no_grad()
def test_captured_attention_is_the_models_own(name: str, tmp_path: Path) -> None:
    """Against eager attention, as transformers writes it out; and the model is as before afterwards."""
    _, foreign = read(TEXTS[name][0], tmp_path)
    tokens = batch_for(name)
    before = foreign.config._attn_implementation
    plain = foreign(tokens).last_BLD
    recorder = Recorder([f"blocks.{i}.{part}" for i in range(3) for part in ("scores", "weights", "values", "states")])
    traced = foreign(tokens, trace=recorder)
    assert foreign.config._attn_implementation == before
    assert relative(plain, traced.last_BLD, tokens.mask_BL) < TOLERANCE
    eager = hf.AutoModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    maps = eager(input_ids=tokens.ids_BL, attention_mask=tokens.mask_BL.long(), output_attentions=True).attentions
    for i in range(3):
        ours = recorder.kept[f"blocks.{i}.weights"]
        assert relative(maps[i][-1], ours[-1]) < TOLERANCE
        if len(ours) > 1:
            assert relative(maps[i][0, :, :6], ours[0, :, :6]) < TOLERANCE
            assert float(ours[0, :, :6, 6:].abs().max()) == 0.0  # nobody looks at padding
    assert torch.equal(traced.last_BLD, foreign(tokens, trace=Recorder(["blocks.0.weights"])).last_BLD)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in foreign.modules())


class Cut:
    """An intervention: nobody may look at one token any more."""

    def wants(self, name: str) -> bool:
        return name.endswith(".scores")

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if not name.endswith(".scores"):
            return value
        value = value.clone()
        value[..., 3] = -torch.inf
        return value


class Zero:
    """An intervention: what leaves a block is nothing."""

    def wants(self, name: str) -> bool:
        return name == "blocks.1.states"

    def __call__(self, name: str, value: Tensor) -> Tensor:
        return value * 0 if name == "blocks.1.states" else value


@pytest.mark.parametrize("build", [bert, vit])
@torch.no_grad()
def test_interventions_do_what_they_do_to_our_own_encoder(build: Any, tmp_path: Path) -> None:
    _, foreign = read(build, tmp_path)
    checkpoint = open_checkpoint(tmp_path)
    (tower,) = load_towers(checkpoint)
    native: Any = tower.loaded.encoder
    tokens = text_batch() if build is bert else image_batch(foreign, 16)
    keep = tokens.mask_BL
    plain = native(tokens).last_BLD
    for intervention in (Cut(), Zero()):
        ours, theirs = (encoder(tokens, trace=intervention).last_BLD for encoder in (native, foreign))
        assert relative(ours, theirs, keep) < TOLERANCE
        assert relative(plain, ours, keep) > 0.01
    recorders = [
        Recorder(names_of_trace(3)) if encoder is native else Recorder(shared(foreign)) for encoder in (native, foreign)
    ]
    native(tokens, trace=recorders[0])
    foreign(tokens, trace=recorders[1])
    for name, theirs in recorders[1].kept.items():
        mine = recorders[0].kept[name]
        assert relative(mine[1].clamp(min=-1e9), theirs[1].clamp(min=-1e9)) < TOLERANCE, name


def shared(foreign: Foreign) -> list[str]:
    """Trace names that a foreign module can give."""
    return [name for name in names_of_trace(foreign.depth) if name.rsplit(".", 1)[-1] not in foreign.gaps]


@pytest.mark.parametrize(
    ("build", "layout"),
    [
        (vit, "1 class + 4x4 patch = 17"),
        (registers, "1 class + 3 register + 4x4 patch = 20"),
        (swin, "4x4 patch = 16"),
        (convnext, "8x8 patch = 64"),
    ],
)
@torch.no_grad()
def test_the_layout_of_images_is_found_by_experiment(build: Any, layout: str, tmp_path: Path) -> None:
    model, foreign = read(build, tmp_path)
    assert str(foreign.layout) == layout
    tokens = image_batch(foreign, foreign.random_input(0)["pixel_values"].shape[-1])
    states = foreign(tokens)
    expected = model(pixel_values=tokens.pixels).last_hidden_state
    expected = expected.flatten(2).mT if expected.dim() == 4 else expected
    assert relative(expected, states.last_BLD) < TOLERANCE
    assert states.grid == foreign.layout.grid
    assert states.roles_BL.tolist() == tokens.roles_BL.tolist()


@torch.no_grad()
def test_a_window_model_says_what_it_cannot_give(tmp_path: Path) -> None:
    _, foreign = read(swin, tmp_path)
    tokens = image_batch(foreign, 32)
    assert set(foreign.gaps) == {
        "embeddings",
        "scores",
        "weights",
        "values",
        "heads",
        "attention",
        "feedforward",
        "states",
    }
    with pytest.raises(TraceError, match=r"blocks\.0\.weights"):
        foreign(tokens, trace=Recorder(["blocks.0.weights"]))
    with pytest.raises(TraceError, match="no states of all tokens"):
        foreign(tokens, layers=(-1,))
    recorder = Recorder(["final"])
    assert torch.equal(foreign(tokens, trace=recorder).last_BLD, recorder.kept["final"])
