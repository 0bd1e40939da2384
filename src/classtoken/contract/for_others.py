"""What sentence-transformers reads of a saved folder of texts: modules.json, so that it gives the same vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classtoken.contract.modules import follow
from classtoken.files import write_text
from classtoken.model_folder import read_json, read_modules, transformer_folder
from classtoken.plain import to_json
from classtoken.pooling.table import POOLINGS
from classtoken.readout.saved import SavedReadout

MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"


def write_modules(
    folder: Path, saved: SavedReadout, size: int, *, longest: int | None = None, include_prompt: bool = True
) -> bool:
    """modules.json and 1_Pooling, so that sentence-transformers gives the vectors that `classtoken.load` gives here;
    whether it has such a pooling.

    Where it has none nothing is written: a folder does not claim what it does not do. `longest` is written where there
    is no limit of tokens yet.
    """
    beyond = {} if include_prompt else {"first": "cls", "cls": ""}  # its `cls` is then the first token behind a prompt
    row = POOLINGS.get(beyond.get(saved.pooling, saved.pooling))
    if row is None or row.sentence_transformers is None:
        return False
    encoder = transformer_folder(folder).relative_to(folder).as_posix()
    modules = [("" if encoder == "." else encoder, "Transformer"), ("1_Pooling", "Pooling")]
    modules += [("2_Normalize", "Normalize")] * saved.unit_length
    _write(
        folder / MODULES,
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
    )
    if longest is not None:
        _write(folder / "sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False})
    _not_truncated(folder)
    switches = {
        other.sentence_transformers[1]: other is row for other in POOLINGS.values() if other.sentence_transformers
    }
    for path, _ in modules[1:]:
        (folder / path).mkdir(exist_ok=True)
    _write(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": size, **switches, "include_prompt": include_prompt},
    )
    return True


def says_the_same(folder: Path, saved: SavedReadout) -> bool:
    """Whether the modules of a folder give the vector of a saved readout; of a folder without modules they do not."""
    flow = follow(folder)
    if flow is None or flow.before or flow.pooling != saved.pooling:
        return False
    return [step.kind for step in flow.after] == ["unit_length"] * saved.unit_length


def without_modules(folder: Path) -> bool:
    """Remove modules.json, where the folder is opened without; whether it was."""
    modules: Sequence[Any] = read_modules(folder)
    includes = all(module.config.get("include_prompt", True) for module in modules if module.kind == "Pooling")
    if not (includes and modules and modules[0].kind == "Transformer" and transformer_folder(folder) == folder):
        return False
    (folder / MODULES).unlink()
    _not_truncated(folder)
    return True


def _not_truncated(folder: Path) -> None:
    """How much of a vector was kept says nothing of another one."""
    settings = read_json(folder / SETTINGS)
    if settings is not None and settings.get("truncate_dim") is not None:
        _write(folder / SETTINGS, {**settings, "truncate_dim": None})


def _write(path: Path, value: Any) -> None:
    write_text(path, to_json(value, indent=2) + "\n")
