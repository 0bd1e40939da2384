"""The encoder by itself: where the class token stands, what a mask lets it see, traces that change, refusals."""

import dataclasses

import pytest
import torch
from tests.encoder.parity import randomise

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.groups import whole
from classtoken.encoder.kernels import Plain
from classtoken.encoder.products import products_of
from classtoken.encoder.shape import BlockShape, ImageStem, PositionShape, Shape, TextStem
from classtoken.errors import InternalError, ModelError, TraceError
from classtoken.tensors import Recorder, Tokens, names_of_trace
from classtoken.values import Role

BLOCK = BlockShape(heads=4, feedforward_size=24, norm_eps=1e-6)
IMAGE = ImageStem(patch=4, image=(8, 12), class_tokens=2, distillation_tokens=1, registers=2)
TEXT = TextStem(vocabulary=50, positions=12)


def build(stem: ImageStem | TextStem, block: BlockShape = BLOCK, position: PositionShape | None = None) -> Encoder:
    """A tiny encoder in evaluation mode, no weight at its initial value."""
    torch.manual_seed(0)
    shape = Shape(hidden_size=16, depth=3, stem=stem, block=block, position=position or PositionShape())
    encoder = Encoder(shape).initialise(0).eval()
    randomise(encoder)
    return encoder


def images(encoder: Encoder, seed: int = 0) -> Tokens:
    """Two random images for an encoder."""
    torch.manual_seed(seed)
    roles = torch.tensor([int(role) for role in encoder.layout.roles()])
    return Tokens(roles.expand(2, -1), pixels=torch.randn(2, 3, 8, 12))


def texts(*lengths: int, longest: int | None = None) -> Tokens:
    """Random texts padded on the right."""
    torch.manual_seed(0)
    longest = longest or max(lengths)
    roles = torch.zeros(len(lengths), longest, dtype=torch.long)
    for row, n in enumerate(lengths):
        roles[row, :n] = Role.CONTENT
        roles[row, : min(n, 1)] = Role.CLASS
    return Tokens(roles, torch.randint(0, 50, roles.shape))


def of(encoder: Encoder, tokens: Tokens, role: Role) -> torch.Tensor:
    """The states of one role's tokens."""
    with torch.no_grad():
        states = encoder(tokens)
    return states.last_BLD[states.roles_BL == role]


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("order", ["pre", "post"])
def test_class_token_first_or_last_is_the_same_when_its_position_goes_with_it(scale: bool, order: str) -> None:
    block = dataclasses.replace(BLOCK, layer_scale=scale, order=order)
    first, last = build(IMAGE, block), build(dataclasses.replace(IMAGE, class_last=True), block)
    last.load_state_dict(first.state_dict())
    at_first, at_last = images(first), images(last)
    assert at_first.roles_BL[0, 0] == Role.CLASS
    assert at_last.roles_BL[0, -3:].tolist() == [Role.CLASS, Role.CLASS, Role.DISTILLATION]
    for role in (Role.CLASS, Role.DISTILLATION, Role.REGISTER, Role.CONTENT):
        assert torch.allclose(of(first, at_first, role), of(last, at_last, role), atol=1e-5)


def test_under_a_causal_mask_only_the_class_token_that_stands_last_depends_on_the_input() -> None:
    block = dataclasses.replace(BLOCK, causal=True)
    stem = dataclasses.replace(IMAGE, distillation_tokens=0)
    first, last = build(stem, block), build(dataclasses.replace(stem, class_last=True), block)
    assert torch.equal(of(first, images(first, 1), Role.CLASS), of(first, images(first, 2), Role.CLASS))
    moved = of(last, images(last, 1), Role.CLASS) - of(last, images(last, 2), Role.CLASS)
    assert float(moved.abs().min(0).values.max()) > 0.01
    open_first = build(stem)
    moved = of(open_first, images(open_first, 1), Role.CLASS) - of(open_first, images(open_first, 2), Role.CLASS)
    assert float(moved.abs().max()) > 0.01


@pytest.mark.parametrize(
    ("stem", "block", "position"),
    [
        (IMAGE, dataclasses.replace(BLOCK, layer_scale=True), PositionShape()),
        (TEXT, BLOCK, PositionShape()),
        (TEXT, dataclasses.replace(BLOCK, causal=True, key_value_heads=2, head_norm=True), PositionShape()),
        (TEXT, dataclasses.replace(BLOCK, scaled=False), PositionShape(buckets=8, bucket_reach=9)),
        (TEXT, dataclasses.replace(BLOCK, windows=(0, 1, 2)), PositionShape(rotary=(9.0, 0.0, 99.0))),
    ],
)
def test_a_trace_accounts_for_every_state(
    stem: ImageStem | TextStem, block: BlockShape, position: PositionShape
) -> None:
    encoder = build(stem, block, position)
    tokens = images(encoder) if isinstance(stem, ImageStem) else texts(5, 9, 2)
    recorder = Recorder(names_of_trace(encoder.depth))
    with torch.no_grad():
        states = encoder(tokens, trace=recorder, layers=("embeddings", 0, 1, -1))
    kept, mask = recorder.kept, tokens.mask_BL
    x = kept["embeddings"]
    assert torch.equal(x, states.layers["embeddings"])
    for i in range(encoder.depth):
        made = encoder.block(i)
        weights, heads = kept[f"blocks.{i}.weights"], kept[f"blocks.{i}.heads"]
        assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:-1]), atol=1e-5)
        assert _only_itself(weights, mask)
        bias = made.attention.output.bias
        factor = 1.0 if made.attention_scale is None else made.attention_scale.weight
        assert torch.allclose(heads.sum(1) + bias * factor, kept[f"blocks.{i}.attention"], atol=1e-4)
        x = x + kept[f"blocks.{i}.attention"] + kept[f"blocks.{i}.feedforward"]
        assert torch.allclose(x[mask], kept[f"blocks.{i}.states"][mask], atol=1e-4)
    assert torch.equal(kept["blocks.2.states"], states.layers[-1])
    assert torch.equal(kept["final"], states.last_BLD)
    assert torch.equal(encoder.final_norm(states.layers[-1]), states.last_BLD)


def _only_itself(weights_BHLL: torch.Tensor, mask_BL: torch.Tensor) -> bool:
    """Padding is looked at by nothing but itself."""
    others = ~torch.eye(weights_BHLL.shape[-1], dtype=torch.bool)
    hidden = (~mask_BL)[:, None, None, :] & others
    return float(weights_BHLL.masked_select(hidden).abs().sum()) == 0


class Blind:
    """A trace that takes one token away from the class token's sight, before the softmax."""

    def __init__(self, name: str, key: int):
        self.name, self.key = name, key

    def wants(self, name: str) -> bool:
        return name == self.name

    def __call__(self, name: str, value: torch.Tensor) -> torch.Tensor:
        if name != self.name:
            return value
        value = value.clone()
        value[:, :, 0, self.key] = -torch.inf
        return value


def test_a_trace_that_returns_another_value_changes_what_follows() -> None:
    encoder = build(dataclasses.replace(IMAGE, class_tokens=1))
    tokens = images(encoder)
    with torch.no_grad():
        before, after = encoder(tokens), encoder(tokens, trace=Blind("blocks.2.scores", 5))
    moved = (before.last_BLD - after.last_BLD).abs().amax((0, 2))
    assert float(moved[0]) > 1e-3
    assert float(moved[1:].max()) < 1e-5  # in the last block, one query alone


def test_what_nobody_wants_is_computed_by_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from classtoken.encoder.attention import Attention

    seen = []
    original = Attention.traced
    monkeypatch.setattr(Attention, "traced", lambda self, *a: (seen.append(a[3]), original(self, *a))[1])
    encoder = build(IMAGE)
    encoder(images(encoder), trace=Recorder(["blocks.1.weights", "blocks.2.states", "final"]))
    assert seen == ["blocks.1"]


def test_an_empty_row_is_harmless() -> None:
    encoder = build(TEXT)
    tokens = texts(4, 0, 2)
    for packed in (False, True):
        with torch.no_grad():
            states = encoder(tokens, packed=packed)
        assert bool(states.last_BLD[tokens.mask_BL].isfinite().all())
        alone = encoder(Tokens(tokens.roles_BL[:1], tokens.ids_BL[:1]))  # type: ignore[index]
        assert torch.allclose(states.last_BLD[0], alone.last_BLD[0], atol=1e-5)
    states = encoder(tokens, packed=True, rows={Role.CLASS})
    assert states.roles_BL.tolist() == [[Role.CLASS], [Role.PAD], [Role.CLASS]]
    assert not bool(states.last_BLD[1].any())


def test_a_batch_mate_and_more_padding_change_nothing() -> None:
    encoder = build(TEXT, dataclasses.replace(BLOCK, windows=(0, 2, 0)))
    tokens, wider = texts(4, 9), texts(4, longest=12)
    wider = Tokens(wider.roles_BL, torch.cat((tokens.ids_BL[:1, :4], torch.ones(1, 8, dtype=torch.long)), 1))  # type: ignore[index]
    with torch.no_grad():
        assert torch.allclose(encoder(tokens).last_BLD[0, :4], encoder(wider).last_BLD[0, :4], atol=1e-5)


@pytest.mark.parametrize("rows", [None, {Role.CLASS}])
def test_products_of_packed_batches_see_few_sizes(rows: set[Role] | None) -> None:
    """However many texts of whatever lengths come, and in the last block where only class tokens are asked for."""
    seen = set()

    class Watched(Plain):
        def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
            seen.add(x.shape[:-1].numel())
            return super().__call__(x, residual)

    encoder = build(TEXT)
    fast = products_of(encoder, Watched)
    assert fast is not None
    with torch.no_grad():
        for texts_there in range(1, 40):
            tokens = texts(*(1 + (texts_there * text) % 12 for text in range(texts_there)), longest=12)
            states = encoder(tokens, packed=True, rows=rows, fast=fast)
            expected = encoder(tokens, rows=rows)
            there = expected.roles_BL != Role.PAD
            torch.testing.assert_close(states.last_BLD[there], expected.last_BLD[there], rtol=1e-5, atol=1e-5)
    assert seen == {whole(size) for size in seen}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("block", "position"),
    [
        (BLOCK, PositionShape()),
        (dataclasses.replace(BLOCK, norm="rms", scaled=False), PositionShape(buckets=8)),
        (
            dataclasses.replace(BLOCK, causal=True, head_norm=True, norm="rms", gated=True),
            PositionShape(rotary=(9.0,) * 3),
        ),
    ],
)
def test_half_precision_comes_close(block: BlockShape, position: PositionShape, packed: bool) -> None:
    encoder = build(TEXT, block, position)
    tokens = texts(5, 9, 2)
    with torch.no_grad():
        full = encoder(tokens).last_BLD
        half = encoder.to(torch.bfloat16)(tokens, packed=packed).last_BLD
    assert half.dtype == torch.bfloat16
    mask = tokens.mask_BL
    assert float((half.float() - full)[mask].norm() / full[mask].norm()) < 0.05


def test_two_seeds_two_encoders_one_seed_one() -> None:
    shape = build(IMAGE).shape
    first, again, other = (Encoder(shape).initialise(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert not torch.equal(first["stem.class_token"][0], first["stem.class_token"][1])


def test_fresh_weights_are_cut_off_at_two_deviations_and_not_piled_up_there() -> None:
    """Clipping a normal distribution would put 4.6 % of all weights on the very edge."""
    weights = Encoder(build(IMAGE).shape).initialise(0).block(0).feedforward.up.weight.detach()
    edge = 2 * 0.02
    assert float(weights.abs().max()) <= edge
    assert float((weights.abs() > 0.999 * edge).float().mean()) < 0.005
    assert float(weights.std()) == pytest.approx(0.88 * 0.02, rel=0.1)  # of a normal distribution cut at 2 sigma


def test_an_error_inside_a_property_is_not_called_a_missing_property(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build(IMAGE)
    monkeypatch.setattr(Encoder, "layout", property(lambda self: self.shape.no_such_thing))
    with pytest.raises(InternalError, match=r"Encoder\.layout cannot be computed: .*no_such_thing"):
        _ = encoder.layout
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = encoder.nothing


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_said() -> None:
    image, text = build(IMAGE), build(TEXT)
    picture = images(image)
    with pytest.raises(ModelError, match="13 tokens does not fit: this model has positions for 12"):
        text(texts(13))
    with pytest.raises(ModelError, match="blocks 0 to 2"):
        image(picture, layers=(3,))
    with pytest.raises(ModelError, match="blocks 0 to 2"):
        image(picture, layers=(-4,))
    with pytest.raises(ModelError, match="text model"):
        text(picture)
    with pytest.raises(ModelError, match="1 channels, this model reads 3"):
        image(Tokens(picture.roles_BL, pixels=torch.zeros(2, 1, 8, 12)))
    with pytest.raises(ModelError, match="3x12 pixels is less than one patch of 4x4"):
        image(Tokens(picture.roles_BL, pixels=torch.zeros(2, 3, 3, 12)))
    with pytest.raises(TraceError, match="packed=False"):
        text(texts(3, 5), packed=True, trace=Recorder(["final"]))


def test_texts_given_to_an_image_model_are_refused() -> None:
    with pytest.raises(ModelError, match="image model"):
        build(IMAGE)(texts(3))


def test_a_rest_of_less_than_a_patch_is_not_looked_at() -> None:
    """As a convolution with the patch's stride leaves it out in the references."""
    image = build(IMAGE)
    whole = images(image)
    assert whole.pixels is not None
    wider = torch.nn.functional.pad(whole.pixels, (0, 3, 0, 2), value=9.0)
    found = image(Tokens(whole.roles_BL, pixels=wider, grid=whole.grid)).last_BLD
    torch.testing.assert_close(found, image(whole).last_BLD)
