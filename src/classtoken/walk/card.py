"""The model card of a walkthrough, and the few weights that the page's arithmetic needs."""

import re
import textwrap
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from classtoken.embedder import Embedder
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families import FAMILIES
from classtoken.encoder.shape import ImageStem, TextStem
from classtoken.head import PerTokenHead
from classtoken.page.card import (
    BlockNorms,
    ClassifierRows,
    ModelCard,
    NormWeights,
    PositionCard,
    ReadoutCard,
    SharedWeights,
)
from classtoken.page.document import FamilyRow
from classtoken.probe.accounting import native, output_bias
from classtoken.probe.subject import Cosines, Subject
from classtoken.readout.own import OwnPooler, meaning
from classtoken.readout.readout import Readout
from classtoken.study.inputs import class_token_names
from classtoken.values import Layout, Role
from classtoken.walk.items import is_image
from classtoken.walk.rows import numbers


def card_of(embedder: Embedder, subject: Subject, shown: tuple[int, ...]) -> ModelCard:
    """The card; `shown` are the indices of the answers whose classifier rows go along."""
    encoder = native(subject)
    reading = embedder.tower().reading
    shape, block = encoder.shape, encoder.shape.block
    one = embedder.tower().layout.count(Role.CLASS) <= 1
    reads = one and subject.terms == (frozenset({Role.CLASS}),)
    return ModelCard(
        name=name_of(embedder),
        family=reading.family.name if reading.family is not None else "classtoken",
        modality="image" if isinstance(shape.stem, ImageStem) else "text",
        depth=encoder.depth,
        heads=encoder.heads,
        hidden=encoder.hidden_size,
        head_size=shape.head_size,
        feedforward=block.feedforward_size,
        parameters=sum(p.numel() for p in encoder.parameters()),
        norm=block.order,
        score_scale=float(encoder.block(0).attention.scale),
        position=position_of(encoder),
        patch=shape.stem.patch if isinstance(shape.stem, ImageStem) else None,
        stem=stem_of(shape.stem),
        layout=str(layout_told(embedder.tower().layout, subject)),
        readout=ReadoutCard(
            str(reading.contract.pooling),
            reads,
            readout_in_words(embedder, subject),
            tuple(role.name.lower() for role in sorted(subject.reads)),
        ),
        outcome=outcome_of(subject),
        temperature=subject.temperature,
        classes=None if subject.kind == "cosine" else len(subject.labels),
        trained_on=trained_on(embedder),
        licence=licence_of(embedder),
        gaps=(),
        shared=shared_of(encoder, subject, shown),
        causal=subject.causal,
        given=embedder.spec.model,
    )


def layout_told(layout: Layout, subject: Subject) -> Layout:
    """The roles by which the page tells of an input (`Subject.told`); runs that thereby have one role are one run."""
    roles = subject.told([role for role, _ in layout.runs])
    runs: list[tuple[Role, int | None]] = []
    for role, (_, count) in zip(roles, layout.runs, strict=True):
        if runs and runs[-1][0] == role and layout.grid is None:
            before = runs.pop()[1]
            count = None if before is None or count is None else before + count
        runs.append((role, count))
    return replace(layout, runs=tuple(runs))


def outcome_of(subject: Subject) -> Literal["probability", "sigmoid", "cosine"]:
    """What an answer's value is; a model that only gives vectors has been given references to compare with."""
    assert subject.kind != "along"
    return subject.kind


def name_of(embedder: Embedder) -> str:
    """What the model is called: as asked for, or its folder's name; of a folder called `model`, what it lies in."""
    if embedder.name.startswith("builtin:"):
        return embedder.name
    folder = embedder.folder.resolve()
    return folder.parent.name if folder.name in ("model", "models", "checkpoint") else folder.name


def stem_of(stem: ImageStem | TextStem) -> Literal["linear", "convolutions", "table"]:
    """How a token gets its first vector: a weighted sum of its own pixels, convolutions that overlap, or a table."""
    if isinstance(stem, TextStem):
        return "table"
    return "convolutions" if stem.convolutions else "linear"


def trained_on(embedder: Embedder) -> str:
    """What the model's own README says it is: the first sentences of its first paragraph; or where to look."""
    readme = embedder.folder / "README.md"
    if not readme.is_file():
        return "not said in the model's folder"
    text = readme.read_text(encoding="utf-8", errors="replace")
    if text.startswith("---"):
        text = text.partition("\n---")[2]  # the header of a model card
    plain_lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in plain_lines.split("\n\n"):
        line = " ".join(paragraph.split())
        if line and line[0].isalnum():
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line).replace("`", "").replace("*", "")
            return textwrap.shorten(plain, 260, placeholder=" …")
    return "see the README in the model's folder"


def licence_of(embedder: Embedder) -> str:
    """The licence that the model's README declares in its header."""
    if embedder.name.startswith("builtin:"):
        return "Apache-2.0, with classtoken"
    readme = embedder.folder / "README.md"
    if readme.is_file():
        for line in readme.read_text(encoding="utf-8", errors="replace").splitlines()[:40]:
            if line.lower().startswith(("license:", "licence:")):
                return line.partition(":")[2].strip()
    return "not said in the model's folder"


def readout_in_words(embedder: Embedder, subject: Subject) -> str:
    """Which vector the answer is read from, for people."""
    reading = embedder.tower().reading
    content = "patches" if is_image(embedder) else "tokens"
    words = {
        "cls": "the class token",
        "dist": "the distillation token",
        "cls_dist": "the mean of class token and distillation token",
        "first": "the first token",
        "last": "the last token",
        "map": f"what a learned query reads from the {content} at the end",
        "mean": f"the mean of the {content}",
        "mean_sqrt_len": f"the sum of the {content}, divided by the root of their number",
        "max": f"the largest of each number over the {content}",
        "weightedmean": f"a mean of the {content} in which later ones count more",
    }
    poolings = subject.readout.poolings if isinstance(subject.readout, Readout) else ()
    normed = not isinstance(native(subject).final_norm, nn.Identity)
    for pooling in poolings:
        if isinstance(pooling, OwnPooler):
            says = meaning(pooling.row)
            words["pooler"] = says if normed else says.replace("state after the final norm", "last state")
    contract, classifier = reading.contract, reading.classifier
    spec = str(contract.pooling if classifier is None else classifier.readout.spec)
    numbered = {f"cls({i})": f"class token {i}" for i in range(64)}
    numbered |= {f"cls({i})": name for i, name in enumerate(class_token_names(classifier))}
    parts = [{**words, **numbered}.get(part, f"the pooling '{part}'") for part in spec.split("+")]
    says = " and ".join([", ".join(parts[:-1]), parts[-1]]) + ", side by side" if len(parts) > 1 else parts[0]
    if classifier is not None:
        return f"{says}, after the final norm" if normed and "pooler" not in spec else says
    return ", then ".join([says, *contract.after, *(["brought to length 1"] if contract.unit_length else [])])


def position_of(encoder: Encoder) -> PositionCard:
    """How positions come in."""
    stem, position = encoder.shape.stem, encoder.shape.position
    if position.rotary:
        return PositionCard("rotary", "queries and keys are turned by an angle for the place, in every layer")
    if position.buckets or position.tables != "none":
        return PositionCard("bias", "a learned number for each distance is added to the scores, in every layer")
    if isinstance(stem, TextStem):
        if stem.positions:
            return PositionCard("added", "sines and cosines" if stem.sinusoidal else "a learned vector for each place")
        return PositionCard("none", "this model has no positions")
    kinds = {"learned": "a learned vector for each place", "sinusoidal": "sines and cosines of row and column"}
    if stem.positions in kinds:
        return PositionCard("added", kinds[stem.positions])
    return PositionCard("none", "this model has no positions")


def norm_of(module: nn.Module) -> NormWeights | None:
    """A norm's learned numbers; None where there is none."""
    if isinstance(module, nn.LayerNorm):
        weight = torch.ones(module.normalized_shape) if module.weight is None else module.weight
        return NormWeights("layer", numbers(weight), None if module.bias is None else numbers(module.bias), module.eps)
    if isinstance(module, nn.RMSNorm):
        eps = torch.finfo(torch.float32).eps if module.eps is None else module.eps
        return NormWeights("rms", numbers(module.weight), None, eps)
    return None


def shared_of(encoder: Encoder, subject: Subject, shown: tuple[int, ...]) -> SharedWeights:
    """Norms, output biases and the classifier's rows of the answers shown, divided by the temperature."""
    block = encoder.shape.block
    pairs = None
    if block.order == "post":
        found = [encoder.block(i) for i in range(encoder.depth)]
        norms = [(norm_of(b.attention_norm), norm_of(b.feedforward_norm)) for b in found]
        pairs = tuple(BlockNorms(first, second) for first, second in norms if first and second)
    biases = [numbers(output_bias(encoder, i)) for i in range(encoder.depth)]
    return SharedWeights(
        embedding_norm=norm_of(encoder.stem.norm),
        attention_bias=np.stack(biases) if "output" in block.biases else None,
        norms=pairs,
        final_norm=norm_of(encoder.final_norm),
        head=head_of(subject, shown),
    )


def head_of(subject: Subject, shown: tuple[int, ...]) -> ClassifierRows | None:
    """The rows of a classifier that is one linear map of the vector, or the unit vectors that it is compared with; None
    for any other."""
    head, rows = subject.head, list(shown)
    starts = None
    weight_CV: Tensor
    if isinstance(head, Cosines):
        vectors_RD = head.get_buffer("references_RD")
        return ClassifierRows(numbers(vectors_RD), None, tuple(range(len(vectors_RD))))
    if isinstance(head, PerTokenHead):
        weight_CV, bias_C = head.weight, head.bias
        starts = tuple(row * weight_CV.shape[1] for row in rows)
    else:
        steps = [] if not isinstance(head, nn.Module) else [m for m in head.modules() if not list(m.children())]
        if len(steps) != 1 or not isinstance(steps[0], nn.Linear):
            return None
        weight_CV, bias_C = steps[0].weight, steps[0].bias
    bias = None if bias_C is None else numbers(bias_C[rows] / subject.temperature)
    return ClassifierRows(numbers(weight_CV[rows] / subject.temperature), bias, shown, starts)


def family_rows() -> tuple[FamilyRow, ...]:
    """Who uses what, from the families table; the layout and the authors' readout of each family's usual config."""
    rows = []
    for family in FAMILIES:
        try:
            shape, authors = family.shape({}), family.authors_readout({})
        except (KeyError, TypeError, ValueError):
            continue
        stem = shape.stem
        if isinstance(stem, ImageStem):
            tokens = str(stem.class_tokens or "none")
            registers = str(stem.registers)
        else:
            reads_first = family.head is not None and family.head.pooling({}) in ("pooler", "cls")
            tokens, registers = "its first token, for classifiers" if reads_first else "none", "0"
        used_by = family.used_by[0] if family.used_by else ""
        rows.append(FamilyRow(family.name, tokens, registers, authors.spec, authors.reason, used_by))
    return tuple(rows)
