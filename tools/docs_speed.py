"""The tables in docs/speed.md, out of the committed results of benchmarks/."""

import json
from pathlib import Path
from typing import Any

from generated import DOCS, ROOT, finish_all, into, table, wrapped

from classtoken.report.charts import Dot, dots

PAGE = DOCS / "speed.md"
PICTURES = DOCS / "speed"
RESULT = ROOT / "benchmarks" / "results" / "embed.json"
#: The same contests, some of them, on a processor without instructions for bf16 and sums of whole numbers.
PLAINER = ROOT / "benchmarks" / "results" / "embed-avx2.json"
#: Contest -> its heading.
HEADINGS = {
    "texts": "Short sentences, all-MiniLM-L6-v2",
    "mixed": "Texts of 8 to 256 tokens in any order, the same model",
    "long": "Long texts (256 tokens, where this model cuts), the same model",
    "wide": "Short sentences, 12 blocks of 768 with random weights (as mpnet-base, bge-base, e5-base)",
    "one text": "One text a call",
    "files": "Photographs from JPEG files, DeiT-Tiny",
    "pictures": "The same photographs, decoded",
    "one image": "One picture a call, decoded",
    "first": "A fresh process: import, load, one vector",
}


WITHOUT = (
    "This processor does not multiply bf16 numbers: what is asked for in bf16 is computed in fp32, which is said. Most "
    "of the time goes into matrix products, so that all who compute in fp32 are about equally quick. Products of bytes "
    "are summed in 16 bits there, so that int8 has weights of seven bits, which cannot overflow; it is the quickest of "
    "ours, and its vectors do not depend on their batch. ONNX Runtime's int8 is quicker on short sentences, "
    "with a lower cosine; at one text a call ONNX Runtime and OpenVINO are ahead."
)


def pages() -> dict[Path, str]:
    """The page and its pictures as the committed results are now."""
    result, plainer = (json.loads(path.read_text(encoding="utf-8")) for path in (RESULT, PLAINER))
    pictures = {
        _picture(name): _chart(contest, heading) for name, heading in HEADINGS.items() if (contest := result.get(name))
    }
    return {PAGE: text(result, plainer), **pictures}


def text(result: dict[str, Any], plainer: dict[str, Any]) -> str:
    """The page with its tables."""
    parts = [_measured(result)]
    for name, heading in HEADINGS.items():
        if contest := result.get(name):
            picture = f"![times as fast, by processor time](speed/{_picture(name).name})"
            parts += [f"### {heading}", _about(contest), picture, _table(contest)]
    parts += ["## Without AVX-512 and AMX", _measured(plainer), WITHOUT]
    for name, heading in HEADINGS.items():
        if contest := plainer.get(name):
            parts += [f"### {heading}, there", _about(contest), _table(contest)]
    return into(PAGE.read_text(encoding="utf-8"), "docs_speed.py", wrapped("\n\n".join(filter(None, parts))))


def _measured(result: dict[str, Any]) -> str:
    """When, on what machine, with what."""
    machine = next(iter(result.values()))["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    loads = sorted(contest["machine"]["load"] for contest in result.values())
    return (
        f"Measured on {machine['date']}: {machine['processor']}, {machine['cores']} cores, {machine['threads']} "
        f"thread{'s' * (machine['threads'] != 1)} for everybody, load of the machine {loads[0]} to {loads[-1]}; Python "
        f"{machine['python']}, {versions}."
    )


def _picture(name: str) -> Path:
    return PICTURES / f"{name.replace(' ', '-')}.svg"


def _chart(contest: dict[str, Any], heading: str) -> str:
    """A dot for each contestant: ours in colour, others hollow."""
    rows = []
    for who, row in contest["rows"].items():
        found, ours = row["processor"], who.startswith("classtoken")
        rows.append(Dot(who, found["median"], found["smallest"], found["largest"], control=not ours))
    unit = next(
        who for who, row in contest["rows"].items() if row["processor"]["smallest"] == row["processor"]["largest"]
    )
    label = f"times as fast as {unit}, by processor time; median, smallest and largest of {contest['rounds']} rounds"
    return dots(rows, heading=heading, x_label=label, width=760, reference=1.0) + "\n"


def _about(contest: dict[str, Any]) -> str:
    """Items, rounds, and the ceiling: what one product of the model's sizes reaches."""
    items = f"{contest['items']} items, {contest['rounds']} rounds." if contest["items"] > 1 else ""
    if product := contest.get("product"):
        ceiling = " and ".join(f"{rate:.0f} in {name}" for name, rate in product.items())
        items += f" One matrix product of MiniLM's sizes reaches {ceiling} GFLOP/s in the same run."
    return items


def _table(contest: dict[str, Any]) -> str:
    """Only the columns that somebody has something in."""
    rows = contest["rows"]
    columns = {
        "times as fast, by processor time": lambda row: _times(row["processor"]),
        "by the clock": lambda row: _times(row["wall"]) if "wall" in row else "",
        "GFLOP/s": lambda row: f"{row['gflops']:.0f}" if row.get("gflops") else "",
        "lowest cosine to fp32": lambda row: f"{row['cosine_smallest']:.5f}" if "cosine_smallest" in row else "",
        "Spearman": lambda row: f"{row['spearman']:.4f}" if "spearman" in row else "",
        "peak memory": lambda row: f"{row['peak_mib']:.0f} MiB" if row.get("peak_mib") else "",
    }
    filled = {name: [get(row) for row in rows.values()] for name, get in columns.items()}
    shown = {name: cells for name, cells in filled.items() if any(cells)}
    return table(["", *shown], [[who, *cells] for who, *cells in zip(rows, *shown.values(), strict=True)])


def _times(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} ({ratio['smallest']:.2f} to {ratio['largest']:.2f})"


if __name__ == "__main__":
    finish_all(pages())
