"""Texts for training: tokenized once, put into batches as they come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Generator, Tensor

from classtoken.errors import BadRecord
from classtoken.files import whole_file, write_text
from classtoken.inputs import each
from classtoken.inputs import rows as ready_rows
from classtoken.learning.data.batches import TrainingBatch
from classtoken.plain import to_json
from classtoken.tensors import Tokens
from classtoken.tokens.text import TextPreprocessor, TextRow, checked
from classtoken.values import Record, Rejected, Role

VOCABULARY = "tokenizer.json"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def with_text(records: Sequence[Record]) -> tuple[list[Record], list[Rejected]]:
    """The records whose text can be read, and those that have none, before there is a tokenizer."""

    def check(record: Record) -> Record:
        if record.text is None:
            raise BadRecord("there is no text in this record")
        checked(record.text, 0)
        return record

    rejected: dict[int, Rejected] = {}
    kept = [record for _, record in each(check, enumerate(records), rejected.__setitem__, threads=1)]
    return kept, list(rejected.values())


def tokenized(
    prepare: TextPreprocessor, records: Sequence[Record]
) -> tuple[list[TextRow], list[Record], list[Rejected]]:
    """Rows, the records that they are of, and those that could not be read."""
    rejected: dict[int, Rejected] = {}
    rows = dict(ready_rows(prepare, enumerate(records), rejected.__setitem__))
    return list(rows.values()), [records[place] for place in rows], list(rejected.values())


def learn_vocabulary(texts: Sequence[str], size: int, folder: Path, longest: int) -> None:
    """Word pieces as BERT has them (Schuster & Nakajima 2012), lower case, learned from texts, written to a folder.

    The same texts give the same pieces and numbers. Leaves `tokenizer.json` and `tokenizer_config.json`, which
    transformers and classtoken read alike.
    """
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers the signs inside words in the order of a hash table, which differs from run to run, and its
    # ties follow those numbers. As special tokens they are numbered before; the tokenizer that is kept has them not.
    inside = sorted({f"##{sign}" for text in texts for word in _words(learner, text) for sign in word[1:]})
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=[*SPECIAL, *inside], show_progress=False)
    learner.train_from_iterator(texts, trainer)
    tokenizer = Tokenizer(models.WordPiece(learner.get_vocab(with_added_tokens=False), unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = learner.normalizer, learner.pre_tokenizer
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.decoder = decoders.WordPiece()
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": longest,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    }
    write_text(folder / "tokenizer_config.json", to_json(settings, indent=2) + "\n")
    with whole_file(folder / VOCABULARY) as temporary:  # the last one: where it is, both are
        tokenizer.save(str(temporary))


def _words(tokenizer: Tokenizer, text: str) -> Iterator[str]:
    """The words of a text, as the tokenizer cuts them before it looks for pieces."""
    normal = tokenizer.normalizer.normalize_str(text)
    return (word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))


@dataclass(frozen=True)
class Texts:
    """Tokenized texts with their targets; `taught` are a teacher's probabilities, where there is one."""

    rows: Sequence[TextRow]
    targets: Tensor | None
    prepare: TextPreprocessor
    device: str = "cpu"
    drop_words: float = 0.0
    taught: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def train(self, rows: Tensor, generator: Generator) -> TrainingBatch:
        """These rows; with `drop_words`, that part of the word pieces becomes the unknown token."""
        batch = self.plain(rows)
        if not self.drop_words:
            return batch
        tokens = batch.views[0]
        drawn = torch.rand(tokens.roles_BL.shape, generator=generator).to(tokens.roles_BL.device)
        hidden = (drawn < self.drop_words) & (tokens.roles_BL == Role.CONTENT)
        unknown = self.prepare.tokenizer.id_of("[UNK]")
        assert tokens.ids_BL is not None
        tokens = replace(tokens, ids_BL=tokens.ids_BL.masked_fill(hidden, 0 if unknown is None else unknown))
        return replace(batch, views=(tokens,))

    def plain(self, rows: Tensor) -> TrainingBatch:
        """These rows as they are."""
        tokens: Tokens = self.prepare.collate([self.rows[i] for i in rows.tolist()]).to(self.device)
        at = rows.to(self.device)
        return TrainingBatch(
            (tokens,),
            None if self.targets is None else self.targets[at],
            rows,
            None if self.taught is None else self.taught[at],
        )
