"""Several class tokens: each class read from its own token, what a readout reads, and what probes know of each."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests import folders
from tests.probe.subjects import images, randomise, vit
from torch import Tensor

import classtoken as ct
from classtoken.encoder.encoder import Encoder
from classtoken.errors import OptionError
from classtoken.head import PerTokenHead
from classtoken.maps.relevance import attention
from classtoken.measure.specialisation import read_out, readable, specialisation
from classtoken.pooling.spec import parse
from classtoken.probe.accounting import attribute_logit
from classtoken.probe.from_embedder import classifying, subject_of
from classtoken.probe.subject import Subject
from classtoken.probe.traced import trace
from classtoken.readout.classifier import Classifier
from classtoken.readout.readout import Readout
from classtoken.values import Role

LABELS = ("bird", "cat", "dog")


@pytest.fixture(scope="module")
def several() -> Subject:
    """A ViT with a class token for each of three classes, and registers."""
    encoder = Encoder(vit(class_tokens=3, registers=2)).double().eval()
    randomise(encoder, 0)
    head = PerTokenHead(3 * 24, 3).double()
    randomise(head, 1)
    readout = Readout(parse("cls(0)+cls(1)+cls(2)"), 4, over=frozenset({Role.CONTENT}))
    return classifying(encoder, Classifier(readout, head, LABELS))


def test_each_class_is_read_from_its_own_token(several: Subject) -> None:
    tokens = images(vit(class_tokens=3, registers=2))
    places = (tokens.roles_BL[0] == Role.CLASS).nonzero()[:, 0]
    assert several.per_class
    assert several.reader(tokens.roles_BL)[0, places].tolist() == pytest.approx([1 / 3] * 3)
    for target in range(3):
        own = several.for_class(target)
        reader = own.reader(tokens.roles_BL)
        assert reader[:, places[target]].tolist() == [1, 1]
        assert float(reader.sum()) == 2
        # The logit does not change with any other class token's last row, and is that token's exact split.
        targets = torch.tensor([target] * 2)
        gradient = trace(several, tokens, gradients=True).gradients(targets).gradients[-1]
        assert (gradient[:, :, places[target]] != 0).any()
        assert (gradient[:, :, places[[c for c in range(3) if c != target]]] == 0).all()
        with torch.no_grad():
            logits = several(tokens)[:, target]
            split = attribute_logit(trace(own, tokens), places[target].expand(2, 1), targets)
        assert torch.allclose(split.total(), logits, rtol=1e-6)
        assert not torch.allclose(attention(trace(own, tokens)), attention(trace(several, tokens)))
    with pytest.raises(OptionError, match="class 3 does not exist"):
        several.for_class(3)


def test_random_weights_keep_the_split_of_a_logit(several: Subject) -> None:
    other = several.randomised(seed=2)
    tokens = images(vit(class_tokens=3, registers=2))
    assert other.linear is not None
    assert several.linear is not None
    assert not torch.equal(other.linear.weight_CD, several.linear.weight_CD)
    place = (tokens.roles_BL[0] == Role.CLASS).nonzero()[1].expand(2, 1)
    targets = torch.tensor([1, 1])
    with torch.no_grad():
        split = attribute_logit(trace(other.for_class(1), tokens), place, targets)
        assert torch.allclose(split.total(), other(tokens)[:, 1], rtol=1e-6)


@pytest.mark.parametrize(("spec", "first", "last"), [("last", 0.0, 1.0), ("cls", 1.0, 0.0), ("mean", 1 / 17, 1 / 17)])
def test_the_reader_is_the_poolings_own(spec: str, first: float, last: float) -> None:
    shape = vit(registers=4)
    tokens = images(shape)
    readout = Readout(parse(spec), 4, over=frozenset(Role) - {Role.PAD})
    from classtoken.probe.from_embedder import shares_of, terms_of

    subject = Subject(Encoder(shape), readout, terms=terms_of(readout), shares=shares_of(readout))
    reader: Tensor = subject.reader(tokens.roles_BL)
    assert reader.sum(1).tolist() == pytest.approx([1, 1])
    assert (float(reader[0, 0]), float(reader[0, -1])) == pytest.approx((first, last))


def test_the_reader_of_a_pooled_output_is_its_one_token(tmp_path: Path) -> None:
    """CLIP's text side reads its end token, BERT's pooler its class token: no map begins anywhere else."""
    for folder, modality, place in (
        (folders.tiny_clip(tmp_path / "clip"), "text", -1),
        (folders.tiny_bert(tmp_path / "bert"), None, 0),
    ):
        embedder = ct.load(folder)
        subject = subject_of(embedder, pooling="pooler", modality=modality)
        tokens = embedder.tokens(["the cat sits on a mat"], modality=modality)
        reader_L = subject.reader(tokens.roles_BL)[0]
        assert reader_L.nonzero().flatten().tolist() == [place % len(reader_L)]


def test_probes_tell_specialists_from_interchangeable_tokens() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((120, 3)) < 0.4
    noise = rng.normal(size=(120, 3, 5))
    apart = noise.copy()
    for k in range(3):  # token k holds label k alone
        apart[:, k, 0] += 3 * truth[:, k]
    alike = noise + 3 * truth[:, None, :] @ rng.normal(size=(3, 5))
    found = specialisation(read_out(apart, truth), truth, permutations=199)
    assert found.best_token == (0, 1, 2)
    assert found.p <= 0.01
    assert specialisation(read_out(alike, truth), truth, permutations=199).p > 0.05
    rare = truth.copy()
    rare[:, 1] = False
    assert readable(rare).tolist() == [True, False, True]
    with pytest.raises(OptionError, match="leave rare ones out"):
        read_out(apart, rare)
