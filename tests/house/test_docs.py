"""README and the pages in docs/ are run: commands give what is shown, Python blocks hold, links lead somewhere.

A `console` block holds commands after `$ ` and what they print (stdout, or the line on stderr; `...` stands for
anything), with `[exit code N]` where it is not 0. What is shown was really printed: words and whole numbers are held to
the letter, times and speeds may be any, and a decimal number or a percentage may differ by a little (`near`), as it
does on another processor. `python` blocks of a page run one after another; a `text` block right
behind one is what it prints. A block after `<!-- not run: reason -->` is left out, one after `<!-- needs ../shared -->`
where that folder is not here.
"""

import contextlib
import importlib
import inspect
import io
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import folders

import classtoken as ct
from classtoken.cli import VERBS, main

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(
    r"(?P<skip><!-- not run: .+? -->\n+)?(?P<needs><!-- needs \.\./shared -->\n+)?"
    r"^```(?P<kind>console|python)\n(?P<body>.*?)^```$(?:\n\n^```text\n(?P<printed>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
TIME = r"\d[\d,.]* (?:s|ms|min|hours|a second|tokens a second)\b"
NUMBER = re.compile(rf"(?P<time>{TIME})|(?P<rough>\d+\.\d+(?:e[+-]\d+)?|\d+(?= %))")


NOTES = {
    "baking": "Dough needs warmth: put it near the oven and wait until it has doubled.\n\nYeast is fed with sugar.",
    "garden": "Tomatoes are planted after the last frost.\n\nWater the beans in the evening.",
    "travel": "The train to the coast leaves at nine; the beach is ten minutes away.\n\nPassports are in the drawer.",
}
TICKETS = [
    f"t{n},{text},{'mail' if n % 2 else 'chat'}\n"
    for n, text in enumerate(
        (
            "I cannot log in to my account",
            "The password reset link does not work",
            "My account is locked after three attempts",
            "How do I change my password?",
            "Two factor codes never arrive so I cannot sign in",
            "Please unlock my account",
            "My parcel has not arrived yet",
            "The courier left the parcel with a neighbour",
            "Where is my delivery?",
            "The parcel arrived damaged",
            "I want to change the delivery address",
            "My order was delivered twice",
            "I was charged twice for one order",
            "Please refund my payment",
            "My credit card was declined",
            "The invoice shows the wrong amount",
            "When will the refund reach my bank?",
            "Can I pay by bank transfer?",
        )
    )
]
TOMORROW = """id,text,label
n1,I forgot my password and cannot sign in,access
n2,The parcel is late,delivery
n3,Please send the refund to another card,payment
n4,My account does not accept the new password,access
"""


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
        if block["skip"] or (block["needs"] and not SHARED.is_dir()):
            continue
        if block["kind"] == "python":
            found.append(Step("python", block["body"], block["printed"] or ""))
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
    shutil.copytree(minilm, root / "models" / "minilm", copy_function=os.symlink)
    folders.tiny_vit(root / "models" / "vit", pooler=False)
    peculiar_models(root / "models")
    (root / "photos").mkdir()
    for name, picture in zip("abcd", folders.pictures(4), strict=True):
        picture.save(root / "photos" / f"{name}.png")
    folders.pictures(5, (48, 64))[4].save(root / "cat.jpg")
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
    opinions = [
        ("A wonderful film", "What a bore"),
        ("I loved it", "Never again"),
        ("Fine acting", "Ugh"),
        ("Great fun from start to end", "I want my money back"),
        ("A masterpiece", "Dull and far too long"),
        ("Warm and clever", "A waste of an evening"),
    ]
    lines = "".join(f"{good},good\n{bad},bad\n" for good, bad in opinions)
    (root / "opinions.csv").write_text(f"text,label\n{lines}", encoding="utf-8")
    (root / "notes").mkdir()
    for name, text in NOTES.items():
        (root / "notes" / f"{name}.md").write_text(text, encoding="utf-8")
    folders.coloured_squares(root / "products/learn", 8)
    folders.coloured_squares(root / "products/test", 3)
    (root / "tickets.csv").write_text("id,text,channel\n" + "".join(TICKETS), encoding="utf-8")
    (root / "tomorrow.csv").write_text(TOMORROW, encoding="utf-8")
    (root / "emotions.tsv").write_text("so happy\t17\ta\nwhat, me?\t4,27\tb\noh no\t25\tc\n", encoding="utf-8")
    return root


def peculiar_models(folder: Path) -> None:
    """Small random models whose published kin are the traps of docs/coming-from.md; DeiT itself where it is here."""
    import transformers as peer

    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    image = {**size, "image_size": 32, "patch_size": 8}
    text = {**size, "vocab_size": len(folders.WORDS), "projection_size": 32, "pad_token_id": 0}
    short = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    registers = peer.Dinov2WithRegistersConfig(image_size=32, patch_size=8, num_register_tokens=4, **short)
    clip = {**text, "max_position_embeddings": 16, "eos_token_id": 3, "bos_token_id": 2}
    siglip = {**text, "max_position_embeddings": 64}
    made = {
        "dinov2-registers": peer.Dinov2WithRegistersModel(registers),
        "vit-mae": peer.ViTMAEModel(peer.ViTMAEConfig(**image)),
        "clip": peer.CLIPModel(peer.CLIPConfig(text_config=clip, vision_config=image, projection_dim=24)),
        "siglip": peer.SiglipModel(peer.SiglipConfig(text_config=siglip, vision_config=image)),
    }
    for name, model in made.items():
        folders.randomise(model).save_pretrained(folder / name)
        folders.image_processor(folder / name)
    for name, longest in (("clip", 16), ("siglip", 64)):
        folders.bert_tokenizer(folder / name, longest=longest)
    deit, published = folder / "deit-tiny-patch16-224", SHARED / "models" / "deit-tiny-patch16-224"
    if published.is_dir():
        deit.symlink_to(published)
    else:
        folders.tiny_vit(deit, head=True)


@pytest.fixture
def place(materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each page, with the materials in it."""
    for path in materials.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("classtoken.cli.progress.FIRST", 600.0)  # pages show no progress, on slow machines either
    return tmp_path


def run(step: Step, names: dict[str, object]) -> None:
    """One step; a command runs in this process, which is quicker."""
    if step.kind == "python":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(step.source, "<page>", "exec"), names)
        same(step, printed.getvalue())
        return
    check_pastes(step.source)
    program, *arguments = shlex.split(step.source)
    assert program == "classtoken", f"only classtoken's own commands are run, not {step.source!r}"
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    said = out.getvalue() or err.getvalue()
    said += f"[exit code {code}]\n" if code else ""
    same(step, said)


def check_pastes(command: str) -> None:
    """A command means in a shell what it means here: signs that a shell reads itself are quoted."""
    bare = re.search(r"[&;|<>()*?$`~#!]", re.sub(r"'[^']*'|\"[^\"]*\"", "", command))
    assert bare is None, f"{bare[0]!r} means something to a shell; quote it in: {command}"


def same(step: Step, said: str) -> None:
    """What came out is what the page shows."""
    if step.kind == "python" and not step.shown:
        return
    assert agrees(step.shown, said), f"$ {step.source}\n{said}\nbut the page shows\n{step.shown}"


def agrees(shown: str, said: str) -> bool:
    """Whether a page may show `shown` for what was said: pieces between `...` in their order, numbers `near`."""
    numbers = [NUMBER.findall(text) for text in (shown, said)]
    pieces, said = NUMBER.sub("\0", shown).split("..."), NUMBER.sub("\0", said)
    at = used = 0
    for place, piece in enumerate(pieces):
        wanted = numbers[0][used : used + piece.count("\0")]
        begins, ends = place == 0, place == len(pieces) - 1
        for found in places(piece, said, at):
            first = said.count("\0", 0, found)
            there = numbers[1][first : first + len(wanted)]
            fits = not (begins and found) and not (ends and found + len(piece) < len(said))
            if fits and all(map(near, wanted, there)):
                break
        else:
            return False
        used, at = used + len(wanted), found + len(piece)
    return True


def places(piece: str, text: str, at: int) -> Iterator[int]:
    """Where `piece` stands in `text` from `at` on; an empty one also at the end."""
    while (at := text.find(piece, at)) >= 0:
        yield at
        at += 1


def near(shown: tuple[str, str], said: tuple[str, str]) -> bool:
    """Two times always; else two numbers a twentieth and 0.02 apart at most (percentages in whole numbers: and 3)."""
    if shown[0] or said[0]:
        return bool(shown[0] and said[0])
    room = 0.02 if "." in shown[1] else 3
    return abs(float(shown[1]) - float(said[1])) <= room + abs(float(shown[1])) / 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_what_a_page_shows_is_true(page: Path) -> None:
    names: dict[str, object] = {}
    for step in steps(page):
        run(step, names)
    if page.parent.name == "tutorials":
        check_ends_with_something_to_look_at(page)


def check_ends_with_something_to_look_at(page: Path) -> None:
    """The last section of a tutorial names pages that its commands have made."""
    heading, last = page.read_text(encoding="utf-8").rsplit("\n## ", 1)[1].split("\n", 1)
    assert heading == "Something to look at"
    pages = set(re.findall(r"`([\w/.-]+\.html)`", last))
    assert pages
    assert [name for name in pages if not Path(name).is_file()] == []


def test_pages_are_found_and_mistakes_in_them_noticed(tmp_path: Path) -> None:
    assert sum(len(steps(page)) for page in PAGES) >= 10
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ classtoken verify nowhere\neverything is fine\n```\n\n```python\nassert 1 == 2\n```\n"
    )
    command, block = steps(page)
    with pytest.raises(AssertionError, match="'&' means something to a shell"):
        run(Step("console", "classtoken predict builtin:tiny&seed=7"), {})
    with pytest.raises(AssertionError, match="holds no vectors"):
        run(command, {})
    with pytest.raises(AssertionError):
        run(block, {})


def test_what_is_shown_is_held_to_the_letter_and_its_numbers_to_a_little() -> None:
    said = "9 records labelled in 1.6 s\n  accuracy 0.8889 (67 %)\n  a note\nend\n"
    assert agrees(said, said)
    assert agrees("9 records labelled in 20 s\n  accuracy 0.8800 (65 %)\n...\nend\n", said)
    assert agrees("...\nend\n", said)
    assert agrees("9 records...", said)
    assert agrees("...note...", said)
    assert agrees("...row 2.00\n...", "row 1.00\nrow 2.00\nend\n")
    assert not agrees("8 records labelled in 1.6 s\n...", said)
    assert not agrees("...accuracy 0.7800 (67 %)\n...", said)
    assert not agrees("...accuracy 0.8889 (50 %)\n...", said)
    assert not agrees("...labelled in 0.8889\n...", said)
    assert not agrees("...a note\n", said)
    assert not agrees("records labelled...", said)
    assert not agrees("...end\n...a note\n...", said)


@pytest.mark.parametrize("page", sorted({*PAGES, *ROOT.glob("*.md")}), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_command_line_links_every_verb_to_its_own_page(root: Path) -> None:
    text = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    for verb in VERBS:
        (target,) = re.findall(rf"\[`{verb}`\]\((\S+)\)", text)
        assert root / "docs" / target == page_of(root, verb)


def test_the_contents_name_every_page_once_and_every_verb(root: Path) -> None:
    rows = re.findall(
        r"^\|.*\| \[([\w -]+)\]\((\S+)\)", (root / "docs" / "index.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(set(rows)) == len(rows)
    text = (root / "docs" / "index.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"({page_of(root, verb).name})" not in text] == []


def test_every_key_of_json_has_a_meaning(root: Path) -> None:
    rows = re.findall(r"^\| (`\w+`) \|.*\| +\|$", (root / "docs" / "json.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [], "write what it is into the line under the field"


@pytest.mark.slow
@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("docs_*.py")), ids=lambda tool: tool.stem)
def test_generated_pages_are_fresh(tool: Path) -> None:
    done = subprocess.run([sys.executable, str(tool), "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make docs` ({done.stderr})"


def test_the_map_of_the_house_has_every_room(root: Path) -> None:
    """ARCHITECTURE.md names every folder and file on the first floor of the package."""
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [path for path in (root / "src" / "classtoken").iterdir() if not path.name.startswith(("_", "."))]
    named = {path.name: f"{path.name}/" if path.is_dir() else path.name for path in rooms if path.suffix != ".typed"}
    assert [name for name in named.values() if f"`{name}" not in text] == []


def page_of(root: Path, verb: str) -> Path:
    """The page of a verb; docs/index.md is the first page of all."""
    return root / "docs" / f"{'indexing' if verb == 'index' else verb}.md"


def test_every_command_is_shown_at_work(root: Path) -> None:
    """A page of its own with an example that this file runs, or one that says why it cannot be run here."""
    for verb in VERBS:
        text = page_of(root, verb).read_text(encoding="utf-8")
        assert f"\n$ classtoken {verb} " in text, (
            f"docs/{verb}.md shows no `$ classtoken {verb} ...` in a console block"
        )


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path, minilm: Path) -> None:
    """In that form and order, of the docstrings that are shown, as this Python has them."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"From the demo:\n\n```text\n(.*?)```", readme, re.DOTALL)
    assert shown is not None
    parts = [part.splitlines() for part in shown[1].split("\n\n")]
    ids = [[row.split()[1] for row in rows] for _, _, *rows in parts]
    texts = {}
    for name in itertools.chain.from_iterable(ids):
        module, _, thing = name.partition(".")
        about = inspect.getdoc(getattr(importlib.import_module(module), thing)) or ""
        texts[name] = about.split("\n\n")[0].replace("\n", " ")
    ct.embed(minilm, {"id": list(texts), "text": list(texts.values())}, tmp_path / "vectors")
    found = str(ct.search(tmp_path / "vectors", [query.strip("'") for query, *_ in parts], k=3)).split("\n\n")
    for part, (query, head, *_), rows in zip(found, parts, ids, strict=False):
        said = part.splitlines()
        assert (said[0], said[1].split(), [row.split()[1] for row in said[2:5]]) == (query, head.split(), rows)
