"""The table of outcomes, as `make zoo` writes it: which transformers it was made with, and what became of each type."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.zoo.outcomes import Outcome

GOLDEN = Path(__file__).with_name("outcomes.json")


def write(found: Mapping[str, Outcome]) -> None:
    """Write outcomes into the table; those of another transformers go."""
    import transformers

    rows: dict[str, Any] = {}
    if GOLDEN.is_file() and json.loads(GOLDEN.read_text(encoding="utf-8"))["transformers"] == transformers.__version__:
        rows = {kind: asdict(outcome) for kind, outcome in read().items()}
    rows = dict(sorted((rows | {kind: asdict(outcome) for kind, outcome in found.items()}).items()))
    text = json.dumps({"transformers": transformers.__version__, "types": rows}, indent=1, ensure_ascii=False)
    GOLDEN.write_text(text + "\n", encoding="utf-8")


def read() -> dict[str, Outcome]:
    """The table."""
    table: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))["types"]
    return {kind: Outcome(row["kind"], row["says"], tuple(row["sides"])) for kind, row in table.items()}
