"""Write docs/studies/README.md from docs/studies/*.json: every number on the page comes from a measurement beside it.

python tools/studies/page.py
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from classtoken.results.explain_data import Findings, Ranked, Score
from classtoken.results.statistics import Interval

OUT = Path(__file__).resolve().parents[2] / "docs" / "studies"
HEAD = """# What class tokens do: measured

Written by `python tools/studies/page.py` from the JSON files beside it, which `python tools/studies/measure.py STUDY`
writes. Each number comes with n, a 95 % interval, and a control: the same architecture with the values of every weight
tensor in random order. A sentence here holds for the named model on the named data, and for no other until measured.
"""
NAMES = {
    "deit": "DeiT-Tiny on 69 photographs of as many ImageNet classes",
    "coco": "DeiT-Tiny against true masks (COCO)",
    "minilm": "all-MiniLM-L6-v2 on sentences",
    "scenes": "the built-in model of scenes, where the truth is known",
    "photos": "the built-in model of photographs",
}


def said(v: Interval, digits: int = 2) -> str:
    """0.46 [0.44, 0.48]."""
    return f"{v.estimate:.{digits}f} [{v.low:.{digits}f}, {v.high:.{digits}f}]"


def percent(v: Interval) -> str:
    """46 % [44, 48]."""
    return f"{100 * v.estimate:.0f} % [{100 * v.low:.0f}, {100 * v.high:.0f}]"


def main() -> None:
    parts = [HEAD]
    for study, title in NAMES.items():
        path = OUT / f"{study}.json"
        if not path.is_file():
            continue
        found = Findings.from_json(path.read_text(encoding="utf-8"))
        parts += [
            f"## {title}",
            f"{found.n} inputs of {found.data}; read out: {found.readout}. [All numbers]({study}.json)",
        ]
        for part in (entropy, distance, swap, lens, maps, masks, artefacts, specialise):
            lines = part(study, found)
            parts += lines
    (OUT / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {OUT / 'README.md'}")


def entropy(study: str, found: Findings) -> list[str]:
    """Diffuse early, concentrated late?"""
    row = next((r for r in found.layers if r.name == "relative_entropy"), None)
    if row is None:
        return []
    values = row.values
    lowest = min(range(len(values)), key=lambda i: values[i].estimate)
    first, last = values[0], values[-1]
    falls = all(b.estimate < a.estimate for a, b in pairwise(values))
    if falls:
        verdict = 'It falls in every layer: "diffuse early, concentrated late" holds here.'
    elif last.low > values[lowest].high and lowest < len(values) - 1:
        verdict = (
            f'"Diffuse early, concentrated late" does **not** hold here: the most concentrated layer is {lowest} '
            f"({said(values[lowest])}), and the last is wider again ({said(last)})."
        )
    else:
        verdict = f"There is no steady fall; the most concentrated layer is {lowest} ({said(values[lowest])})."
    text = (
        f"**Entropy of the class token's attention** (1 is uniform): {said(first)} in the first layer, {said(last)} in "
        f"the last. {verdict}"
    )
    if row.control:
        text += f" Random weights: {said(row.control[0])} and {said(row.control[-1])}."
    itself = next((r for r in found.layers if r.name == "on_itself"), None)
    if itself is not None:
        most = max(range(len(itself.values)), key=lambda i: itself.values[i].estimate)
        text += f" It looks at itself most in layer {most}: {said(itself.values[most])} of its weight."
    return ["### Diffuse early, concentrated late?", text, f"![entropy by layer]({study}-relative-entropy.svg)"]


def distance(study: str, found: Findings) -> list[str]:
    """How far patches look."""
    row = next((r for r in found.layers if r.name == "attention_distance"), None)
    if row is None:
        return []
    text = (
        f"**Distance that patches look**, in pixels of the model's picture: {said(row.values[0], 0)} in the first "
        f"layer, {said(row.values[-1], 0)} in the last; random weights {said(row.control[0], 0)} and "
        f"{said(row.control[-1], 0)}."
    )
    return [text, f"![distance by layer]({study}-attention-distance.svg)"]


def swap(study: str, found: Findings) -> list[str]:
    """Is the class token's early state used?"""
    if not found.swap:
        return []
    safe = [i for i, v in enumerate(found.swap) if v.low > 0.9]
    taken = next((i for i, v in enumerate(found.swap_donor) if v.estimate > 0.5), len(found.swap) - 1)
    free = f"up to layer {max(safe)}" if safe else "at no layer"
    text = (
        f"The class token before layer l is replaced by another input's (n = {found.swap[0].n} pairs with different "
        f"answers). The own answer stays in more than 90 % (lower end of the interval) {free}; the other input's "
        f"answer takes over in most pairs from layer {taken} on. "
        + ", ".join(f"l = {i}: {percent(v)} kept" for i, v in enumerate(found.swap))
        + "."
    )
    return ["### Does swapping the class token change the answer?", text, f"![swap by layer]({study}-swap.svg)"]


def lens(study: str, found: Findings) -> list[str]:
    """What can be read off, by layer."""
    if not found.lens:
        return []
    half = next((i for i, v in enumerate(found.lens) if v.estimate >= found.lens[-1].estimate / 2), 0)
    text = (
        f"**Lens** ({found.lens_of}): {percent(found.lens[-1])} after the last layer; half of that is first reached "
        f"with the state before layer {half} ({percent(found.lens[half])})."
    )
    return [text, f"![lens by layer]({study}-lens.svg)"]


def maps(study: str, found: Findings) -> list[str]:
    """Which methods beat random at faithfulness?"""
    scored = [m for m in found.ranking if m.score("deletion")]
    if not scored:
        return []
    n = max(m.n for m in scored)
    lines = [
        "### Which maps beat random scores?",
        f'Deletion by real removal, n = {n}; lower is better. "Better by" is the paired difference to random (the '
        "mean of 4 draws) on the same inputs.",
        _table(scored, ("deletion", "insertion", "saco")),
        f"![deletion areas]({study}-maps-deletion.svg)",
    ]
    winners = _names(scored, lambda over: over.low > 0, "deletion")
    open_ = _names(scored, lambda over: over.low <= 0 <= over.high, "deletion")
    lines.append(f"Shown to beat random by deletion: {winners or 'none'}. Not shown: {open_ or 'none'}.")
    return lines


def masks(study: str, found: Findings) -> list[str]:
    """Does relevance fall on the true object?"""
    scored = [m for m in found.ranking if m.score("pointing")]
    if not scored:
        return []
    scored.sort(key=lambda m: -_value(m, "pointing"))
    rank = next((i + 1 for i, m in enumerate(scored) if m.name == "attention"), None)
    raw = next((m for m in scored if m.name == "attention"), None)
    best = scored[0]
    said_raw = "" if raw is None else (
        f" Raw attention of the last layer is number {rank} of {len(scored)}: {_said(raw.score('pointing'))}."
    )  # fmt: skip
    return [
        "### Does relevance fall on the true object?",
        f"Pointing: share of inputs whose strongest patch is on the object, n = {max(m.n for m in scored)}. Best: "
        f"{best.title}, {_said(best.score('pointing'))}.{said_raw}",
        _table(scored, ("pointing", "mass/area", "iou", "precision")),
        f"![pointing]({study}-maps-pointing.svg)",
    ]


def artefacts(study: str, found: Findings) -> list[str]:
    """High-norm tokens."""
    row = next((r for r in found.layers if r.name == "outlier_share"), None)
    if row is None:
        return []
    most = max(range(len(row.values)), key=lambda i: row.values[i].estimate)
    v = row.values[most]
    return [f"**High-norm tokens** (by the model's own norms): at most {100 * v.estimate:.2f} % of the patches "
            f"or word pieces [{100 * v.low:.2f}, {100 * v.high:.2f}], after layer {most}."]  # fmt: skip


def specialise(study: str, found: Findings) -> list[str]:
    """Do several class tokens specialise?"""
    t = found.tokens
    if t is None:
        return []
    return [
        f"**{t.count} class tokens**: mean cosine of their final states {said(t.cosine[-1])}"
        + (f" (random weights {said(t.control_cosine[-1])})" if t.control_cosine else "")
        + ("" if t.overlap is None else f"; their last attention maps share {said(t.overlap)} of their mass")
        + "."
    ]


def _table(rows: list[Ranked], measures: tuple[str, ...]) -> str:
    first = measures[0]
    head = ["map", *measures, f"{first}: better than random by", "correlation with random weights' map"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for m in rows:
        score = m.score(first)
        over = "" if score is None or score.over_random is None else said(score.over_random, 3)
        sanity = "" if m.sanity is None else said(m.sanity)
        cells = [m.title + (" (control)" if m.control else ""), *(_said(m.score(x)) for x in measures), over, sanity]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _said(score: Score | None) -> str:
    return "" if score is None else said(score.value, 3)


def _value(m: Ranked, measure: str) -> float:
    score = m.score(measure)
    return 0.0 if score is None else score.value.estimate


def _names(rows: list[Ranked], fits: Callable[[Interval], bool], measure: str) -> str:
    found = []
    for m in rows:
        score = m.score(measure)
        if score is not None and score.over_random is not None and fits(score.over_random):
            found.append(m.title)
    return ", ".join(found)


if __name__ == "__main__":
    main()
