"""All weights of an encoder that is small and plain enough for the page to compute itself."""

from typing import Any

from classtoken.encoder.shape import ImageStem
from classtoken.page.card import LinearWeights, ToyBlock, ToyNorm, ToyWeights
from classtoken.probe.accounting import native
from classtoken.probe.subject import Subject
from classtoken.walk.card import position_of
from classtoken.walk.rows import numbers

TOY_PARAMETERS = 20_000
"""up to so many weights a page holds them all, and does the whole forward itself"""


def is_toy(subject: Subject) -> bool:
    """Whether the page's own forward (web/src/maths/forward.ts) can compute this encoder."""
    encoder = native(subject)
    stem, block = encoder.shape.stem, encoder.shape.block
    return (
        isinstance(stem, ImageStem)
        and sum(p.numel() for p in encoder.parameters()) <= TOY_PARAMETERS
        and subject.linear is not None
        and subject.kind == "probability"
        and block.order == "pre"
        and block.norm == "layer"
        and block.activation in ("gelu", "relu")
        and block.biases >= {"query", "key", "value", "output", "up", "down"}
        and not (block.gated or block.layer_scale or block.head_norm or block.key_value_heads or block.shared)
        and encoder.stem.convolutions is None
        and (stem.class_tokens, stem.distillation_tokens, stem.registers) == (1, 0, 0)
        and stem.positions == "learned"
        and position_of(encoder).kind == "added"
        and not (stem.cut_patches or stem.class_last or stem.norm)
    )


def toy_of(subject: Subject) -> ToyWeights | None:
    """Its weights; None for an encoder that is none."""
    if not is_toy(subject):
        return None
    encoder, linear = native(subject), subject.linear
    stem, block = encoder.shape.stem, encoder.shape.block
    assert isinstance(stem, ImageStem)
    assert linear is not None
    start: Any = encoder.stem

    def linear_of(module: Any) -> LinearWeights:
        return LinearWeights(numbers(module.weight.flatten(1)), numbers(module.bias))

    def norm_of(module: Any) -> ToyNorm:
        return ToyNorm(numbers(module.weight), numbers(module.bias))

    blocks = []
    for i in range(encoder.depth):
        b = encoder.block(i)
        a, f = b.attention, b.feedforward
        blocks.append(
            ToyBlock(
                norm1=norm_of(b.attention_norm),
                query=linear_of(a.query),
                key=linear_of(a.key),
                value=linear_of(a.value),
                output=linear_of(a.output),
                norm2=norm_of(b.feedforward_norm),
                up=linear_of(f.up),
                down=linear_of(f.down),
            )
        )
    return ToyWeights(
        patch=stem.patch,
        channels=stem.channels,
        activation="relu" if block.activation == "relu" else "gelu",
        eps=block.norm_eps,
        stem=linear_of(start.patch),
        class_token=numbers(start.class_token[0]),
        positions=numbers(start.position),
        blocks=tuple(blocks),
        final_norm=norm_of(encoder.final_norm),
        head=LinearWeights(
            numbers(linear.weight_CD / subject.temperature), numbers(linear.bias_C / subject.temperature)
        ),
    )
