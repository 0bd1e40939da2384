"""The tables in docs/speed.md, out of the committed results of benchmarks/."""

import json
from typing import Any

from generated import DOCS, ROOT, finish, into, table, wrapped

PAGE = DOCS / "speed.md"
RESULT = ROOT / "benchmarks" / "results" / "embed.json"


def text() -> str:
    """The page with its tables as the committed results are now."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    busy = f"load {machine['load'][0]} at the beginning and {machine['load_at_the_end'][0]} at the end"
    parts = [
        f"Measured on {machine['date']}: {machine['processor']}, {machine['cores']} cores, {machine['threads']} "
        f"thread{'s' * (machine['threads'] != 1)}, {busy}; {result['rounds']} rounds; Python {machine['python']}, "
        f"{versions}."
    ]
    for name, contest in result["contests"].items():
        head = ["", "times as fast, by processor time", "by the clock", "largest difference", "Spearman", "peak memory"]
        rows = [_row(who, row) for who, row in contest["rows"].items()]
        parts += [f"### {name[0].upper()}{name[1:]} ({contest['items']})", table(head, rows)]
    return into(PAGE.read_text(encoding="utf-8"), "docs_speed.py", wrapped("\n\n".join(parts)))


def _row(name: str, row: dict[str, Any]) -> list[str]:
    times = ["{median:.2f} ({smallest:.2f} to {largest:.2f})".format(**row[clock]) for clock in ("processor", "wall")]
    different = f"{row['difference']:.0e}" if "difference" in row else ""
    spearman = f"{row['spearman']:.4f}" if "spearman" in row else ""
    memory = f"{row['peak_mib']:.0f} MiB" if row.get("peak_mib") else ""
    return [name, *times, different, spearman, memory]


if __name__ == "__main__":
    finish(PAGE, text())
