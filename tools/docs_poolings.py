"""The table in docs/poolings.md: every pooling by name, with its formula and when to take it."""

from generated import DOCS, finish, into, table

from classtoken.pooling.spec import POOLINGS

PAGE = DOCS / "poolings.md"
#: Name -> the formula for states x_1 .. x_n of the pooled tokens, and when to take it.
KNOWN: dict[str, tuple[str, str]] = {
    "cls": ("`x_class`", "the model has a class token that a loss was put on: ViT, DINO, CLIP's images, bge"),
    "mean": ("`sum x_i / n`", "most sentence encoders; images without a class token; the usual rival of `cls`"),
    "max": ("`max_i x_i`, per dimension", "a trained head on it; rarely what an encoder was trained for"),
    "mean_sqrt_len": ("`sum x_i / sqrt(n)`", "the checkpoint says so (old sentence encoders)"),
    "weightedmean": ("`sum i x_i / sum i`", "causal encoders trained with it (SGPT)"),
    "last": ("`x_n`", "causal encoders: only the last token has read the whole text (Qwen3-Embedding)"),
    "gem": ("`(sum max(x_i, 1e-6)^p / n)^(1/p)`", "image retrieval with a trained head; between mean (p 1) and max"),
    "map": ("`y = out([v_1 .. v_H])`, `y + W2 act(W1 LN(y))`", "SigLIP's own; an attentive probe on frozen states"),
    "queries": ("`[sum_i a_qi W x_i]` for q = 1 .. k", "an attentive probe whose queries may specialise"),
    "multihead": ("`[sum_i a_hi x_i]` for h = 1 .. H", "texts; scores from a small network (Chen et al. 2018)"),
    "weighted": ("`sum w_i x_i`, w a softmax over places", "inputs where the place means the same in all of them"),
    "all": ("`[x_1, ..., x_n]`", "a linear probe that may use everything, at its price"),
    "pooler": ("as [the family](families.md) says", "what libraries call `pooler_output`; refused without weights"),
    "dist": ("`x_distillation`", "DeiT's second token"),
    "cls_dist": ("`(x_class + x_distillation) / 2`", "distilled DeiT as timm reads it"),
}


def rows() -> list[list[str]]:
    """One row per pooling, in the order of the table of names."""
    if list(KNOWN) != list(POOLINGS):
        odd = ", ".join(sorted(KNOWN.keys() ^ POOLINGS.keys())) or "their order"
        raise ValueError(f"KNOWN and pooling.spec.POOLINGS differ: {odd}")
    found = []
    for name, about in POOLINGS.items():
        formula, when = KNOWN[name]
        takes = f"`{name}(...)`: {about.takes}" if about.takes else ""
        takes += f"; {about.default} if left out" if about.default is not None else ""
        found.append([f"`{name}`", about.meaning, formula, takes, "yes" if about.learned else "", when])
    return found


def text() -> str:
    """The page with its table as the code is now."""
    head = ["name", "what it is", "formula", "in parentheses", "trained", "when"]
    return into(PAGE.read_text(encoding="utf-8"), "docs_poolings.py", table(head, rows()))


if __name__ == "__main__":
    finish(PAGE, text())
