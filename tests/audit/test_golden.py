"""Golden vectors beside a folder: the model that made it proves it, another one does not."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests import folders
from tests.contract.ordinary import ORDINARY

import classtoken as ct
from classtoken.audit.golden import NAME
from classtoken.audit.probes import NATURAL, text_probes
from classtoken.errors import OptionError, OutputError
from classtoken.results.verify import VerifyResult
from classtoken.sink.manifest import META
from classtoken.tokens.text import TextPreprocessor


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(folders.SENTENCES))
    return source


@pytest.mark.parametrize("pooling", [None, "cls", "cls,mean"])
def test_the_model_that_made_a_folder_proves_it(texts: Path, tmp_path: Path, pooling: str | None) -> None:
    right = folders.sentence_transformer(tmp_path / "right", mode="cls", dense=16, prompts=True)
    ct.embed(right, texts, tmp_path / "vectors", pooling=pooling, prompt="document")
    found = ct.verify(tmp_path / "vectors", model=right)
    assert isinstance(found, VerifyResult)
    assert found.proof is not None
    assert found.ok
    assert found.proof.differences == ()
    assert VerifyResult.from_json(found.to_json()) == found
    wrong = folders.sentence_transformer(tmp_path / "wrong", mode="mean", dense=16, prompts=True)
    other = ct.verify(tmp_path / "vectors", model=wrong)
    assert other.proof is not None
    assert other.proof.ok == (pooling is not None)  # the poolings named are those of the same encoder
    assert "gives these vectors" in str(found)


def test_of_a_vocabulary_of_bytes(texts: Path, tmp_path: Path) -> None:
    """It has no words to make texts of: those that people wrote prove it."""
    model = next(each for each in ORDINARY if each.name == "roberta").save(tmp_path / "bytes")
    ct.embed(model, texts, tmp_path / "vectors")
    assert ct.verify(tmp_path / "vectors", model=model).ok
    prepare = ct.load(model).tower().prepare
    assert isinstance(prepare, TextPreprocessor)
    probes = text_probes(prepare, prompt=None)
    assert set(probes.short) < set(NATURAL)
    assert len(probes.short) > 2
    assert probes.long == ()


def test_of_pictures(tmp_path: Path) -> None:
    model = folders.tiny_vit(tmp_path / "vit", pooler=False)
    (tmp_path / "photos").mkdir()
    for number, picture in enumerate(folders.pictures(3)):
        picture.save(tmp_path / "photos" / f"{number}.png")
    ct.embed(model, tmp_path / "photos", tmp_path / "vectors")
    kept = pq.read_table(tmp_path / "vectors" / META / NAME)
    assert kept.column_names == ["image", "cls"]
    assert ct.verify(tmp_path / "vectors", model=model).ok
    text = folders.sentence_transformer(tmp_path / "texts")
    with pytest.raises(OptionError, match="the folder holds vectors of images"):
        ct.verify(tmp_path / "vectors", model=text)


def test_one_weight_moves_the_proof_only_as_far_as_the_vectors(texts: Path, tmp_path: Path) -> None:
    model = folders.sentence_transformer(tmp_path / "model")
    ct.embed(model, texts, tmp_path / "vectors")
    (tmp_path / "vectors" / META / NAME).unlink()
    with pytest.raises(OutputError, match="has no golden vectors"):
        ct.verify(tmp_path / "vectors", model=model)
    assert ct.verify(tmp_path / "vectors").ok  # as folders of before are
    ct.embed(model, texts, tmp_path / "vectors")  # finished: only what is missing is put there
    again = ct.verify(tmp_path / "vectors", model=ct.load(model))
    assert again.proof is not None
    assert np.isclose(min(again.proof.lowest.values()), 1, atol=1e-5)
