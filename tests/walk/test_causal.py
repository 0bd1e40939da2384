"""Under a causal mask a class token in front reads itself alone: the story is of the token that is read out."""

import json
from pathlib import Path

import numpy as np
import pytest
import transformers
from tests import folders
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from classtoken.page.document import Walkthrough
from classtoken.walk.engine import Engine

TEXTS = ["the cat sits", "a dog"]


def decoder(folder: Path) -> Path:
    """The same folder with a causal mask."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "is_decoder": True}))
    return folder


def clip(folder: Path) -> Path:
    return folders.tiny_clip(folder)


def end_of_bert(folder: Path) -> Path:
    return decoder(folders.sentence_transformer(folder, mode="lasttoken"))


def mean_of_bert(folder: Path) -> Path:
    return decoder(folders.sentence_transformer(folder))


def mean_of_llama(folder: Path) -> Path:
    """A decoder whose tokenizer adds nothing: the first token is a word, which reads itself alone too."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = transformers.LlamaConfig(vocab_size=len(folders.WORDS), **sizes)
    folders.randomise(transformers.LlamaModel(config)).save_pretrained(folder)  # type: ignore[operator]
    pieces = Tokenizer(models.WordPiece({w: i for i, w in enumerate(folders.WORDS)}, unk_token="[UNK]"))
    pieces.normalizer, pieces.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, model_max_length=32, **names).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 32, "pooling_mode": "mean"}')
    types = {"": "Transformer", "1_Pooling": "Pooling"}
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(types.items())
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def walked(folder: Path) -> tuple[Engine, Walkthrough]:
    engine = Engine(folder, TEXTS, "text")
    return engine, engine.document()


@pytest.mark.slow
@pytest.mark.parametrize("made", [clip, end_of_bert, mean_of_bert, mean_of_llama])
def test_the_story_is_of_what_is_read_out(made: object, tmp_path: Path) -> None:
    assert callable(made)
    engine, page = walked(made(tmp_path / "model"))
    wanted = engine.embedder.embed(TEXTS, modality="text")
    for example, vector in zip(page.examples, wanted, strict=True):
        assert all(token.role != "class" for token in example.tokens)
        places = [example.watched, *(other.position for other in example.others)]
        assert 0 not in places
        assert example.pooled is not None
        if (example.pooled.weights != 0).sum() == 1:
            assert places == [int(example.pooled.weights.argmax())]
        own = example.vector / np.linalg.norm(example.vector)
        np.testing.assert_allclose(own, vector / np.linalg.norm(vector), atol=1e-5)  # no role moved a number
    assert "class" not in page.model.layout


def test_a_class_token_that_is_read_out_is_followed(tmp_path: Path) -> None:
    """A classifier on it answers alike for every input, and the page shows why."""
    _, page = walked(decoder(folders.tiny_bert(tmp_path / "model", head=True)))
    for example in page.examples:
        assert example.watched == 0
        assert example.tokens[0].role == "class"
    assert "1 class" in page.model.layout


def test_what_is_told_as_one_role_is_one_run_of_the_layout(tmp_path: Path) -> None:
    card = Engine(clip(tmp_path / "clip"), TEXTS, "text").document(full=False).model
    assert card.layout == "n word piece + 1 end"
