"""docs/zoo.md: what becomes of every model type of transformers, out of the table that `make zoo` writes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from generated import DOCS, ROOT, finish, notice, table, wrapped

PAGE = DOCS / "zoo.md"
TABLE = ROOT / "tests" / "zoo" / "outcomes.json"
#: Outcomes in the page's order: heading, and what it means.
KINDS: Mapping[str, tuple[str, str]] = {
    "native": ("Native", "Read by a row of [the table of families](families.md); states and vectors are the model's."),
    "foreign": (
        "Foreign",
        "Computed by transformers behind the same forward. The vector is what the model's classifier or its own pooled "
        "output reads, the vector in which two sides meet, or the mean; states and vectors are the model's.",
    ),
    "named": (
        "Right once a pooling is named",
        "Nothing in such a folder says which vector its authors meant (most are language models, whose mask is "
        "causal), so a pooling is asked for; with each that the refusal offers, the vector is the model's.",
    ),
    "part": (
        "Refused; a part of it is an encoder",
        "The model takes several things at once. The refusal names a part that is an encoder by itself and the line "
        "that saves it; the line was followed, and the part's states and vectors are right.",
    ),
    "refused": ("Refused", "It reads neither one text nor one image, or gives no state for each of their tokens."),
    "not built": (
        "Not looked at",
        "No small model of it can be made here: its sizes hang together.",
    ),
}
ABOUT = (
    "Every `model_type` that the AutoModel of transformers {version} opens, as a small model with random weights: "
    "saved, opened here, and held against the model that was saved, on inputs of unlike sizes, in one batch here and "
    "one by one there, to 1e-5. `make zoo` does it anew and writes this page; a release of "
    "transformers is checked in this way."
)


def text() -> str:
    """The page as the table is now."""
    found = json.loads(TABLE.read_text(encoding="utf-8"))
    rows: dict[str, Any] = found["types"]
    counts = [(head, str(sum(row["kind"] == kind for row in rows.values()))) for kind, (head, _) in KINDS.items()]
    parts = [
        notice("docs_zoo.py") + "# The zoo",
        wrapped(ABOUT.format(version=found["transformers"])),
        table(("outcome", "types"), [*counts, ("all", str(len(rows)))]),
    ]
    for kind, (head, meaning) in KINDS.items():
        here = {name: row for name, row in rows.items() if row["kind"] == kind}
        parts += [f"## {head}", wrapped(meaning), *_listed(kind, here)] if here else []
    return "\n\n".join(parts) + "\n"


def _listed(kind: str, rows: Mapping[str, Any]) -> Iterator[str]:
    if kind in ("native", "foreign"):
        yield table(("type", "layout: pooling"), [(f"`{name}`", "; ".join(row["sides"])) for name, row in rows.items()])
    elif kind == "refused":
        reasons: dict[str, list[str]] = {}
        for name, row in rows.items():
            reasons.setdefault(_reason(row["says"], name), []).append(f"`{name}`")
        yield table(("because", "types"), [(why, ", ".join(names)) for why, names in sorted(reasons.items())])
    else:
        yield wrapped(", ".join(f"`{name}`" for name in rows) + ".")


def _reason(says: str, name: str) -> str:
    """The first sentence of a refusal, without the type."""
    library = re.search(r"without another library: \w+ requires the (\S+) library", says)
    if library is not None:
        return f"is built by the library {library[1]}, which is not installed here"
    first = says.split(". ")[0].removeprefix(f"a model of type '{name}' ")
    return " ".join(first.split())


if __name__ == "__main__":
    finish(PAGE, text())
