"""Shapes go to JSON and come back equal; what cannot be built is refused by name."""

import dataclasses
import json
from typing import Any

import pytest
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families import FAMILIES
from classtoken.encoder.families.row import Family
from classtoken.encoder.foreign.files import input_defaults
from classtoken.encoder.shape import (
    ALL_BIASES,
    BlockShape,
    ImageStem,
    PositionShape,
    Shape,
    TextStem,
    shape_from_dict,
)
from classtoken.errors import ModelError
from classtoken.values import Role

TYPES = [kind for family in FAMILIES for kind in family.types if kind in hf.CONFIG_MAPPING]
BLOCK = BlockShape(heads=2, feedforward_size=8)

stems = st.one_of(
    st.builds(
        TextStem,
        vocabulary=st.integers(1, 9),
        embedding_size=st.none() | st.integers(1, 9),
        positions=st.integers(0, 9),
        sinusoidal=st.booleans(),
        kinds=st.integers(0, 2),
        norm=st.booleans(),
    ),
    st.builds(
        ImageStem,
        patch=st.just(4),
        image=st.tuples(st.sampled_from([4, 8]), st.sampled_from([4, 12])),
        class_tokens=st.integers(0, 3),
        distillation_tokens=st.integers(0, 1),
        registers=st.integers(0, 4),
        class_last=st.booleans(),
        convolutions=st.sampled_from([(), ((8, 2),), ((4, 1), (8, 2))]),
        positioned=st.frozensets(st.sampled_from([Role.CLASS, Role.DISTILLATION, Role.REGISTER, Role.CONTENT])),
        positions=st.sampled_from(["none", "learned", "sinusoidal"]),
    ),
)
shapes = st.integers(1, 3).flatmap(
    lambda depth: st.builds(
        Shape,
        hidden_size=st.just(8),
        depth=st.just(depth),
        stem=stems,
        block=st.builds(
            BlockShape,
            heads=st.sampled_from([1, 2, 4]),
            feedforward_size=st.integers(1, 9),
            norm=st.sampled_from(["layer", "rms"]),
            gated=st.booleans(),
            biases=st.frozensets(st.sampled_from(sorted(ALL_BIASES))),
            windows=st.just(()) | st.tuples(*[st.integers(0, 5)] * depth),
            causal=st.booleans(),
        ),
        position=st.builds(PositionShape, rotary=st.just(()) | st.tuples(*[st.floats(1, 99)] * depth)),
    )
)


def through_json(shape: Shape) -> Shape:
    return shape_from_dict(json.loads(json.dumps(shape.to_dict())))


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # beartype does, where strategies build values
@given(shapes)
def test_through_json_and_back(shape: Shape) -> None:
    assert through_json(shape) == shape


@pytest.mark.parametrize("kind", TYPES)
def test_a_family_s_shape_goes_through_json(kind: str) -> None:
    family = next(family for family in FAMILIES if kind in family.types)
    shape = family.shape(hf.AutoConfig.for_model(kind).to_dict())
    assert through_json(shape) == shape


@pytest.mark.parametrize("kind", TYPES)
def test_what_a_config_leaves_out_is_what_its_reference_assumes(kind: str) -> None:
    family = next(family for family in FAMILIES if kind in family.types)
    silent, full = {"model_type": kind}, hf.AutoConfig.for_model(kind).to_dict()
    assert family.shape(silent) == family.shape(full)
    assert family.authors_readout(silent).spec == family.authors_readout(full).spec
    assert family.pooler_row(silent) == family.pooler_row(full)
    if family.head is not None:
        assert family.head.pooling(silent) == family.head.pooling(full)
    assert family.input_defaults(silent).end_id == family.input_defaults(full).end_id


@pytest.mark.parametrize("kind", TYPES)
def test_a_family_names_the_classes_that_transformers_takes(kind: str) -> None:
    """Its processor and, where that does something to a text, its tokenizer, for folders that name none."""
    family = next(family for family in FAMILIES if kind in family.types)
    ours, theirs = family.input_defaults({}), input_defaults(kind, hf.AutoConfig.for_model(kind))
    if ours.tokenizer and theirs.tokenizer:
        assert issubclass(getattr(hf, theirs.tokenizer), getattr(hf, ours.tokenizer))
    if ours.image and theirs.image:
        names = (
            settings["image_processor_type"].removesuffix("Fast").removesuffix("Pil")
            for settings in (ours.image, theirs.image)
        )
        assert len(set(names)) == 1


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.config], ids=lambda family: family.name)
def test_a_config_that_is_written_for_a_shape_gives_that_shape(family: Family) -> None:
    shape = family.shape({"model_type": family.types[0]})
    assert family.config is not None
    config = family.config(shape)
    assert config is not None
    assert family.shape(hf.AutoConfig.for_model(**config).to_dict()) == shape
    assert family.config(dataclasses.replace(shape, block=dataclasses.replace(shape.block, norm="rms"))) is None


def test_a_layout_has_as_many_tokens_as_the_stem_makes() -> None:
    stem = ImageStem(patch=4, image=(8, 12), class_tokens=2, distillation_tokens=1, registers=3)
    assert str(stem.layout()) == "2 class + 1 distillation + 3 register + 2x3 patch = 12"
    last = dataclasses.replace(stem, class_last=True)
    assert last.layout().roles()[-3:] == (Role.CLASS, Role.CLASS, Role.DISTILLATION)
    assert sorted(last.layout().roles()) == sorted(stem.layout().roles())
    assert stem.layout((1, 1)).length == 7


@pytest.mark.parametrize(
    ("plain", "named"),
    [
        ({"stem": {"kind": "text", "vocabulary": 9, "colour": 1}}, "colour"),
        ({"stem": {"kind": "text"}}, "vocabulary"),
        ({"block": {"heads": 2}}, "feedforward_size"),
        ({"block": {"heads": 2, "feedforward_size": 8, "windows": [1]}}, "windows"),
        ({"block": {"heads": 3, "feedforward_size": 8}}, "3 heads"),
        ({"position": {"rotary": [1.0, 2.0, 3.0]}}, "rotary"),
        ({"position": {"sideways": True}}, "sideways"),
    ],
)
def test_a_wrong_shape_is_refused_by_the_name_of_the_field(plain: dict[str, Any], named: str) -> None:
    whole = Shape(hidden_size=8, depth=2, stem=TextStem(vocabulary=9), block=BLOCK).to_dict()
    with pytest.raises(ModelError, match=named):
        shape_from_dict(whole | plain)


def test_blocks_that_share_weights_are_built_once() -> None:
    block = dataclasses.replace(BLOCK, shared=2)
    encoder = Encoder(Shape(hidden_size=8, depth=6, stem=TextStem(vocabulary=9), block=block))
    assert len(encoder.blocks) == 2
    assert [list(encoder.blocks).index(encoder.block(i)) for i in range(6)] == [0, 0, 0, 1, 1, 1]
