"""The pages in docs/ are run: commands give what is shown, Python blocks hold, links lead somewhere.

A `console` block holds commands after `$ ` and what they print (stdout, or the line on stderr; `...` stands for
anything), with `[exit code N]` where it is not 0. `python` blocks of a page run one after another. A block after
`<!-- not run: reason -->` is left out.
"""

import contextlib
import doctest
import io
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from tests import folders

from classtoken.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(
    r"(?P<skip><!-- not run: .+? -->\n+)?^```(?P<kind>console|python)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE
)
CHECKER = doctest.OutputChecker()


@dataclass(frozen=True)
class Step:
    """One command and what it should say, or one block of Python."""

    kind: str
    source: str
    shown: str = ""


def steps(page: Path) -> list[Step]:
    """What is to be run on a page, in order."""
    found: list[Step] = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["skip"]:
            continue
        if block["kind"] == "python":
            found.append(Step("python", block["body"]))
            continue
        for part in re.split(r"^\$ ", block["body"], flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append(Step("console", command, shown))
    return found


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Path:
    """The files that the pages speak of."""
    root = tmp_path_factory.mktemp("docs")
    (root / "models").mkdir()
    (root / "models" / "minilm").symlink_to(minilm)
    folders.tiny_vit(root / "models" / "vit", pooler=False)
    (root / "photos").mkdir()
    for name, picture in zip("abcd", folders.pictures(4), strict=True):
        picture.save(root / "photos" / f"{name}.png")
    Image.new("RGB", (30, 30), "red").save(root / "cat.jpg")
    (root / "photos" / "notes.txt").write_text("not an image")
    reviews = [
        "A wonderful film,good",
        "What a bore,bad",
        "I loved it,good",
        "Never again,bad",
        "Fine,good",
        ",bad",
        "Ugh,bad",
    ]
    (root / "reviews.csv").write_text("text,label\n" + "\n".join(reviews) + "\n", encoding="utf-8")
    (root / "emotions.tsv").write_text("so happy\t17\ta\nwhat, me?\t4,27\tb\noh no\t25\tc\n", encoding="utf-8")
    return root


@pytest.fixture
def place(materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each page, with the materials in it."""
    for path in materials.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(step: Step, names: dict[str, object]) -> None:
    """One step; a command runs in this process, which is quicker."""
    if step.kind == "python":
        exec(compile(step.source, "<page>", "exec"), names)
        return
    program, *arguments = shlex.split(step.source)
    assert program == "classtoken", f"only classtoken's own commands are run, not {step.source!r}"
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    said = out.getvalue() or err.getvalue()
    said += f"[exit code {code}]\n" if code else ""
    assert CHECKER.check_output(step.shown, said, doctest.ELLIPSIS), (
        f"$ {step.source}\n{said}\nbut the page shows\n{step.shown}"
    )


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_what_a_page_shows_is_true(page: Path) -> None:
    names: dict[str, object] = {}
    for step in steps(page):
        run(step, names)


def test_pages_are_found_and_mistakes_in_them_noticed(tmp_path: Path) -> None:
    assert sum(len(steps(page)) for page in PAGES) >= 10
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ classtoken verify nowhere\neverything is fine\n```\n\n```python\nassert 1 == 2\n```\n"
    )
    command, block = steps(page)
    with pytest.raises(AssertionError, match="holds no vectors"):
        run(command, {})
    with pytest.raises(AssertionError):
        run(block, {})


@pytest.mark.parametrize("page", [*PAGES, *sorted(ROOT.glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("docs_*.py")), ids=lambda tool: tool.stem)
def test_generated_pages_are_fresh(tool: Path) -> None:
    done = subprocess.run([sys.executable, str(tool), "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make docs` ({done.stderr})"
