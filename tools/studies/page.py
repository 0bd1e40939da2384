"""Write docs/studies/README.md from docs/studies/*.json: every number on the page comes from a measurement beside it.

python tools/studies/page.py
"""

from collections.abc import Callable
from math import isfinite
from pathlib import Path

from tools.generated import wrapped

from classtoken.results.explain_data import Findings, RankedMap, Score
from classtoken.results.statistics import Interval

OUT = Path(__file__).resolve().parents[2] / "docs" / "studies"
HEAD = """# What class tokens do: measured

Written by `python tools/studies/page.py` from the JSON files beside it, which `python tools/studies/measure.py STUDY`
writes. Each number comes with n, a 95 % interval (over inputs, not over training runs), and a control: the same
architecture with the values of every weight tensor in random order. A sentence here holds for the named model on the
named data, and for no other until measured.

@@INTERVALS@@

How maps are tested: **deletion** takes tokens truly out of the sequence, the strongest first, and is the area under the
answer's probability (for vectors: length along the whole input's); low is good. **Insertion** puts them in; high is
good. **SaCo** asks whether sizes of scores match sizes of effects, -1 to 1. Against a true mask: **pointing**, the
share of inputs whose strongest patch is on the object; **mass/area**, 1 is chance; **IoU** of the strongest patches;
**precision** of the ranking. Each map is held, input by input, against random scores (p of a paired permutation test,
adjusted for as many maps as there are, after Holm), against an edge detector that knows no model, and against the map
that the same method makes of random weights. Positive differences are better; an interval with 0 in it: not shown."""
OLDER = """The intervals of means of {older} are those of the BCa bootstrap (`"method": "bca"` in the files), which
the package no longer prints: of 64 skewed numbers it holds the mean in 91 of 100 samples, of symmetric ones in 94 or
more. {newer} are Student's, widened by the studentised bootstrap, and hold it in 94 to 98 ([trust](../trust.md)). Those
older studies tested maps before ties in IoU were broken at random and before equal effects counted for neither side in
SaCo."""
NAMES = {
    "deit": "DeiT-Tiny on photographs of as many ImageNet classes",
    "coco": "DeiT-Tiny against true masks (COCO)",
    "minilm": "all-MiniLM-L6-v2 on sentences",
    "photos": "the built-in model of photographs",
    "scenes": "the built-in model of scenes, where the truth is known",
    "scenes-multi": "the built-in model of scenes with a class token for each animal",
}


def said(v: Interval, digits: int = 2) -> str:
    """0.46 [0.44, 0.48]; the number alone where it has no interval."""
    ends = f" [{v.low:.{digits}f}, {v.high:.{digits}f}]" if isfinite(v.low) else ""
    return f"{v.estimate:.{digits}f}{ends}"


def percent(v: Interval) -> str:
    """46 % [44, 48]; the number alone where it has no interval."""
    ends = f" [{100 * v.low:.0f}, {100 * v.high:.0f}]" if isfinite(v.low) else ""
    return f"{100 * v.estimate:.0f} %{ends}"


def main() -> None:
    paths = {study: OUT / f"{study}.json" for study in NAMES}
    studies = {s: Findings.from_json(p.read_text(encoding="utf-8")) for s, p in paths.items() if p.is_file()}
    older = ", ".join(study for study, found in studies.items() if '"bca"' in found.to_json())
    newer = ", ".join(study for study, found in studies.items() if '"bca"' not in found.to_json())
    said_of = OLDER.format(older=older, newer=f"Those of {newer}" if newer else "Today's") if older else ""
    parts = [*wrapped(HEAD.replace("@@INTERVALS@@", said_of)).split("\n\n"), *summary(studies)]
    for study, found in studies.items():
        parts += [
            f"## {NAMES[study]}",
            f"{found.n} inputs of {found.data}; read out: {found.readout}. [All numbers]({study}.json)",
        ]
        for part in (entropy, distance, swap, lens, maps, masks, specialise, artefacts):
            parts += part(study, found)
    (OUT / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {OUT / 'README.md'}")


def summary(studies: dict[str, Findings]) -> list[str]:
    """One table of all studies: a line each, every cell explained below."""
    head = ["study", "entropy, first / lowest / last layer", "own answer kept by a swap up to", "maps that beat random",
            "and random weights' maps", "best at pointing", "raw attention at pointing"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for study, found in studies.items():
        row = next((r for r in found.layers if r.name == "relative_entropy"), None)
        low = None if row is None else min(row.values, key=lambda v: v.estimate)
        cells = ["" if row is None or low is None else
                 f"{row.values[0].estimate:.2f} / {low.estimate:.2f} (layer {row.values.index(low)}) / "
                 f"{row.values[-1].estimate:.2f}"]  # fmt: skip
        safe = [i for i, v in enumerate(found.swap) if v.low > 0.9]
        cells.append("" if not found.swap else f"layer {max(safe)} of {len(found.swap) - 1}" if safe else "no layer")
        measure = "deletion" if any(m.score("deletion") for m in found.ranking) else "pointing"
        tested = [m for m in found.ranking if m.score(measure) and not m.control]
        cells.append(f"{sum(_beats(m, measure) for m in tested)} of {len(tested)} ({measure})" if tested else "")
        cells.append(f"{sum(_over(m, measure, 'over_control') for m in tested)} of {len(tested)}" if tested else "")
        pointing = sorted((m for m in found.ranking if m.score("pointing")), key=lambda m: -_value(m, "pointing"))
        raw = next((i for i, m in enumerate(pointing) if m.name == "attention"), None)
        cells.append(f"{pointing[0].title}, {_value(pointing[0], 'pointing'):.2f}" if pointing else "")
        cells.append(f"{_value(pointing[raw], 'pointing'):.2f}, number {raw + 1} of {len(pointing)}" if raw is not None
                     else "")  # fmt: skip
        lines.append(f"| {study} | " + " | ".join(cells) + " |")
    return ["\n".join(lines)]


def entropy(study: str, found: Findings) -> list[str]:
    """Diffuse early, concentrated late?"""
    row = next((r for r in found.layers if r.name == "relative_entropy"), None)
    if row is None:
        return []
    values = row.values
    lowest = min(range(len(values)), key=lambda i: values[i].estimate)
    first, last = values[0], values[-1]
    if lowest == len(values) - 1 and first.low > last.high:
        verdict = 'The last layer is the most concentrated: "diffuse early, concentrated late" holds here at its ends.'
        rises = [i for i in range(1, len(values)) if values[i].low > values[i - 1].high]
        verdict += f" It rises on the way, in layer {', '.join(map(str, rises))}." if rises else ""
    elif last.low > values[lowest].high:
        verdict = (
            f'"Diffuse early, concentrated late" does **not** hold here: the most concentrated layer is {lowest} '
            f"({said(values[lowest])}), and the last is wider again ({said(last)})."
        )
    else:
        verdict = f"No fall is shown; the most concentrated layer is {lowest} ({said(values[lowest])})."
    text = (
        f"**Entropy of the class token's attention** (1 is uniform, n = {first.n}): {said(first)} in the first layer, "
        f"{said(last)} in the last. {verdict}"
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
        f"**Distance that patches look**, in pixels of the model's picture (n = {row.values[0].n}): "
        f"{said(row.values[0], 0)} in the first layer, {said(row.values[-1], 0)} in the last; random weights "
        f"{said(row.control[0], 0)} and {said(row.control[-1], 0)}."
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
    if found.swap_control:
        text += (
            f" Random weights (n = {found.swap_control[0].n} pairs with different answers): "
            + ", ".join(f"{100 * v.estimate:.0f} %" for v in found.swap_control)
            + "."
        )
    else:
        text += " Random weights answer all of these inputs alike, so there is nothing to exchange."
    return ["### Does swapping the class token change the answer?", text, f"![swap by layer]({study}-swap.svg)"]


def lens(study: str, found: Findings) -> list[str]:
    """What can be read off, by layer."""
    if not found.lens:
        return []
    half = next((i for i, v in enumerate(found.lens) if v.estimate >= found.lens[-1].estimate / 2), 0)
    text = (
        f"**Lens** ({found.lens_of}, n = {found.lens[-1].n}): {percent(found.lens[-1])} after the last layer; half of "
        f"that is first reached with the state before layer {half} ({percent(found.lens[half])})."
    )
    if found.lens_control and "right" in found.lens_of:
        text += f" Random weights: {percent(found.lens_control[-1])} after the last layer."
    return [text, f"![lens by layer]({study}-lens.svg)"]


def maps(study: str, found: Findings) -> list[str]:
    """Which methods beat random at faithfulness?"""
    scored = [m for m in found.ranking if m.score("deletion")]
    if not scored:
        return []
    return [
        "### Which maps beat random scores?",
        f"By deletion, n = {max(m.n for m in scored)}; random is the mean of 4 draws an input.",
        _table(scored, ("deletion", "insertion", "saco")),
        f"![deletion areas]({study}-maps-deletion.svg)",
        _verdict(scored, "deletion"),
    ]


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
    # Objects that cover everything or nothing after the crop can be neither hit nor missed.
    n = max(score.value.n for m in scored if (score := m.score("pointing")) is not None)
    return [
        "### Does relevance fall on the true object?",
        f"n = {n}. Best at pointing: {best.title}, {_said(best.score('pointing'))}.{said_raw}",
        _table(scored, ("pointing", "mass/area", "iou", "precision")),
        f"![pointing]({study}-maps-pointing.svg)",
        _verdict(scored, "pointing"),
    ]


def _verdict(scored: list[RankedMap], measure: str) -> str:
    """What is shown, by which comparison; and whether the bar of random scores is high."""
    models = [m for m in scored if not m.control]

    def those(fits: Callable[[RankedMap], bool]) -> str:
        return ", ".join(m.title for m in models if fits(m)) or "none"

    lines = [
        f"Shown to beat random scores by {measure} (p at most 0.05 after Holm): {those(lambda m: _beats(m, measure))}. "
        f"Not shown: {those(lambda m: not _beats(m, measure))}.",
        "Better than their own maps of random weights (interval above 0): "
        f"{those(lambda m: _over(m, measure, 'over_control'))}.",
    ]
    edges = next((m for m in scored if m.name == "edges"), None)
    if edges is not None:
        bar = "beats random scores as well, so that is a low bar" if _beats(edges, measure) else "is not shown to"
        lines.append(
            f"The edge detector, which knows no model, {bar}; better than it: "
            f"{those(lambda m: _over(m, measure, 'over_edges'))}."
        )
    return " ".join(lines)


def artefacts(study: str, found: Findings) -> list[str]:
    """High-norm tokens."""
    row = next((r for r in found.layers if r.name == "outlier_share"), None)
    if row is None:
        return []
    most = max(range(len(row.values)), key=lambda i: row.values[i].estimate)
    v, control = row.values[most], row.control[most] if row.control else None
    beside = "" if control is None else f"; random weights {100 * control.estimate:.2f} %"
    ends = f" [{100 * v.low:.2f}, {100 * v.high:.2f}]" if isfinite(v.low) else ""
    return [f"**High-norm tokens** (by the model's own norms, n = {v.n}): at most {100 * v.estimate:.2f} % of the "
            f"patches or word pieces{ends}, after layer {most}{beside}."]  # fmt: skip


def specialise(study: str, found: Findings) -> list[str]:
    """Do several class tokens specialise?"""
    t = found.tokens
    if t is None:
        return []
    text = f"**Collapse**: the mean cosine between the states of {t.count} class tokens (n = {t.cosine[0].n}) is " + (
        f"{said(t.cosine[0])} before the first layer and {said(t.cosine[-1])} after the last"
    )
    text += f" (random weights {said(t.control_cosine[-1])})" if t.control_cosine else ""
    if t.overlap is not None:
        text += f"; their last attention maps share {said(t.overlap)} of their mass"
        text += f" (random weights {said(t.control_overlap)})" if t.control_overlap is not None else ""
    lines = ["### Do several class tokens specialise?", f"{text}.", f"![cosine by layer]({study}-tokens-cosine.svg)"]
    if t.knows is None:
        return lines
    k = t.knows
    head = ["token", *t.labels]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    rows += [f"| {i} | " + " | ".join(f"{v:.3f}" for v in row) + " |" for i, row in enumerate(k.precision)]
    best = ", ".join(f"{label} by token {token}" for label, token in zip(t.labels, k.best_token, strict=True))
    verdict = "They do specialise" if k.p <= 0.05 else "That they specialise is **not** shown"
    text = (
        "**What each knows of each label**: average precision of a linear probe on one token's last state, out of "
        f"fold. Best read: {best}. {verdict}: the interaction of token and label is {k.observed:.4f}; with tokens "
        f"exchanged within every input it is {k.by_chance:.4f}, 95 % of those below {k.chance_high:.4f} "
        f"(p = {k.p:.3f})."
    )
    if t.control_knows is not None:
        c = t.control_knows
        text += f" Random weights: {c.observed:.4f}, p = {c.p:.3f}."
    return [*lines, text, "\n".join(rows)]


def _table(rows: list[RankedMap], measures: tuple[str, ...]) -> str:
    first = measures[0]
    edges = any(score.over_edges for m in rows if (score := m.score(first)) is not None)
    head = ["map", first, "better than random by", "p", *(["than edges by"] if edges else []),
            "than random weights' map by", "correlation with that", *measures[1:]]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for m in rows:
        score = m.score(first)
        assert score is not None
        cells = [
            m.title + (" (control)" if m.control else ""),
            said(score.value, 3),
            "" if score.over_random is None else said(score.over_random, 3),
            "" if score.p is None else f"{score.p:.3f}",
            *(["" if score.over_edges is None else said(score.over_edges, 3)] if edges else []),
            "" if score.over_control is None else said(score.over_control, 3),
            "" if m.sanity is None else said(m.sanity),
            *(_said(m.score(x)) for x in measures[1:]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _said(score: Score | None) -> str:
    return "" if score is None else said(score.value, 3)


def _value(m: RankedMap, measure: str) -> float:
    score = m.score(measure)
    return 0.0 if score is None else score.value.estimate


def _beats(m: RankedMap, measure: str) -> bool:
    score = m.score(measure)
    return score is not None and score.beats_random is True


def _over(m: RankedMap, measure: str, which: str) -> bool:
    """Whether the interval of a paired difference is above 0."""
    score = m.score(measure)
    found = None if score is None else getattr(score, which)
    return found is not None and found.low > 0


if __name__ == "__main__":
    main()
