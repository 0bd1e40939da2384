"""Sentencepiece vocabularies without the package: the ids are those that transformers gives with it."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from classtoken.errors import ModelError
from classtoken.tokens.sentencepiece import BPE, UNIGRAM, read_sentencepiece
from classtoken.tokens.text import TextPreprocessor

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "sentencepiece"
FOLDERS = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_are_those_of_transformers_with_the_package(name: str) -> None:
    golden = json.loads((GOLDEN / name / "golden.json").read_text())
    assert golden["made_by"] == "tools/make_sentencepiece_goldens.py"
    ours = TextPreprocessor.from_folder(GOLDEN / name)
    texts = list(golden["ids"])
    assert ours.tokenizer.ids(texts) == list(golden["ids"].values())
    assert "sentencepiece" not in sys.modules


@pytest.mark.parametrize(("name", "kind"), [("t5", UNIGRAM), ("llama", BPE)])
def test_what_a_model_file_holds(name: str, kind: int) -> None:
    (file,) = (GOLDEN / name).glob("*.model")
    model = read_sentencepiece(file)
    assert model.trainer_spec.model_type == kind
    assert model.trainer_spec.byte_fallback is (name == "llama")
    assert (model.trainer_spec.bos_id, model.trainer_spec.unk_id) == {"t5": (-1, 2), "llama": (1, 0)}[name]
    assert model.pieces[model.trainer_spec.unk_id].piece == "<unk>"
    assert any(piece.score < 0 for piece in model.pieces)


@pytest.mark.parametrize("harm", [lambda data: data[:5000], lambda data: b"", lambda data: b"\xff" * 100])
def test_a_file_that_is_none_is_one_line(tmp_path: Path, harm: object) -> None:
    folder = tmp_path / "t5"
    shutil.copytree(GOLDEN / "t5", folder)
    file = folder / "spiece.model"
    file.write_bytes(harm(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ModelError, match=r"spiece\.model is no .*sentencepiece model") as error:
        TextPreprocessor.from_folder(folder)
    assert "\n" not in str(error.value)
