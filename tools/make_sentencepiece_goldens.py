"""Golden files for sentencepiece vocabularies: small models that it trained, and the ids that transformers gives.

Run in an environment of its own:

    python3 -m venv pieces-env
    pieces-env/bin/pip install torch==2.13.0 transformers==5.23.0 sentencepiece protobuf
    pieces-env/bin/python tools/make_sentencepiece_goldens.py tests/golden/sentencepiece

It trains on the docstrings of Python's standard library. Each folder holds one vocabulary under the name that its
tokenizer class looks for, tokenizer_config.json, and golden.json: texts, their ids, and versions.
"""

import argparse
import inspect
import platform
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

import sentencepiece
import transformers
from sentencepiece import SentencePieceTrainer

from classtoken.plain import to_json

SOURCES = ("argparse", "ast", "asyncio", "collections", "datetime", "decimal", "email.message", "functools", "heapq")
TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "  two  spaces, a\ttab and a\nline ",
    "\u00c4pfel, NA\u00cfVE caf\u00e9, \uff26\uff55\uff4c\uff4c width, \u2460",
    "12,345.67 % of the data",
    "\u4f60\u597d \u043c\u0438\u0440 \U0001f600",
    "it's done </s> <s> <pad> <unk>",
    "",
)
#: Folder -> tokenizer class, name of the file, how sentencepiece was trained.
VOCABULARIES: dict[str, tuple[str, str, dict[str, object]]] = {
    "xlm_roberta": ("XLMRobertaTokenizer", "sentencepiece.bpe.model", {"normalization_rule_name": "nmt_nfkc"}),
    "t5": ("T5Tokenizer", "spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "albert": (
        "AlbertTokenizer",
        "spiece.model",
        {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]"},
    ),
    "deberta": (
        "DebertaV2Tokenizer",
        "spm.model",
        {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "bos_piece": "[CLS]", "eos_piece": "[SEP]"},
    ),
    "camembert": ("CamembertTokenizer", "sentencepiece.bpe.model", {}),
    "llama": ("LlamaTokenizer", "tokenizer.model", {"model_type": "bpe", "byte_fallback": True}),
    "gemma": (
        "GemmaTokenizer",
        "tokenizer.model",
        {"model_type": "bpe", "byte_fallback": True, "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3},
    ),
}


def make(name: str, folder: Path, corpus: Path) -> None:
    """One golden."""
    kind, file, options = VOCABULARIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=f"{work}/m",
            vocab_size=600,
            hard_vocab_limit=False,
            minloglevel=2,
            character_coverage=0.995,
            **{"model_type": "unigram", "normalization_rule_name": "identity", **options},
        )
        shutil.copy(f"{work}/m.model", folder / file)
    (folder / "tokenizer_config.json").write_text(to_json({"tokenizer_class": kind}) + "\n")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    versions = {
        "sentencepiece": sentencepiece.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
    golden = {
        "made_by": "tools/make_sentencepiece_goldens.py",
        "versions": versions,
        "ids": {text: tokenizer(text)["input_ids"] for text in TEXTS},
    }
    (folder / "golden.json").write_text(to_json(golden, indent=1) + "\n")


def main() -> None:
    """Write all of them below the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as work:
        corpus = Path(work) / "corpus.txt"
        corpus.write_text("\n".join(inspect.getsource(import_module(name)) for name in SOURCES))
        for name in VOCABULARIES:
            make(name, out / name, corpus)
            print(out / name)


if __name__ == "__main__":
    main()
