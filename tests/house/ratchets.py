"""Numbers that may only fall: how many functions are complex, and how many take many arguments.

Line counts are no rule: a file is one thing, and a function is as long as what it says is simple. What makes code hard
to change is counted instead, by ruff, and compared with `ratchets.json`. Whoever has made a number smaller writes it:

    .venv/bin/python -m tests.house.ratchets --write
"""

import json
import subprocess
import sys
from pathlib import Path

AGREED = Path(__file__).with_name("ratchets.json")
ROOT = Path(__file__).resolve().parents[2]
#: Rule of ruff -> what it counts at the limits below.
RULES = {"C901": "functions more complex than 10", "PLR0913": "functions with more than 6 parameters"}
LIMITS = ("lint.mccabe.max-complexity=10", "lint.pylint.max-args=6")
#: Public functions that spell out every option, so that an editor and a type checker know them.
SPELT_OUT = ("src/classtoken/verbs.py", "src/classtoken/embedder/embedder.py", "src/classtoken/embedder/loading.py")


def counted() -> dict[str, list[str]]:
    """Rule -> every place in `src` that it finds."""
    settings = [part for limit in LIMITS for part in ("--config", limit)]
    command = [sys.executable, "-m", "ruff", "check", "src", "--select", ",".join(RULES), *settings]
    command += ["--output-format", "json", "--exit-zero"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {rule: [] for rule in RULES}
    for hit in json.loads(done.stdout):
        path = Path(hit["filename"]).relative_to(ROOT).as_posix()
        if not (hit["code"] == "PLR0913" and path in SPELT_OUT):
            found[hit["code"]].append(f"{path}:{hit['location']['row']} {hit['message']}")
    return found


if __name__ == "__main__":
    agreed = json.loads(AGREED.read_text(encoding="utf-8")) if AGREED.is_file() else {}
    now = {rule: min(len(places), agreed.get(rule, len(places))) for rule, places in counted().items()}
    if "--write" in sys.argv:
        AGREED.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    else:
        sys.stdout.write("\n".join(place for places in counted().values() for place in places) + "\n")
