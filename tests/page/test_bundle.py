"""The committed bundle is what the committed sources build; pages hold nothing that could fetch or break out."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from tests.page.fixture import PHOTO, TOY, as_text, walkthrough

from classtoken.errors import InternalError, OutputError
from classtoken.page.blocks import from_block, plain, to_block
from classtoken.page.bundle import bundle, digest_of_sources
from classtoken.page.document import Walkthrough, dumps
from classtoken.page.example import RoleName, role_name
from classtoken.page.export import notebook_page, page, served_index, write_page
from classtoken.values import Role


def test_the_bundle_was_built_from_these_sources(root: Path) -> None:
    assert bundle().sources == digest_of_sources(root / "web"), "run: make web, and commit what it wrote"


@pytest.mark.slow
def test_building_again_gives_the_same_bundle(root: Path, tmp_path: Path) -> None:
    if shutil.which("npx") is None or not (root / "web" / "node_modules" / "vite").is_dir():
        pytest.skip("node or the page's packages are not here; make web-test installs them")
    command = ["npx", "vite", "build", "--logLevel", "error", "--outDir", str(tmp_path), "--emptyOutDir"]
    subprocess.run(command, cwd=root / "web", check=True, capture_output=True, timeout=200)
    assert (tmp_path / "app.js").read_text(encoding="utf-8") == bundle().script
    assert (tmp_path / "app.css").read_text(encoding="utf-8") == bundle().style


def test_the_pages_types_are_those_of_python(root: Path) -> None:
    command = [sys.executable, str(root / "tools" / "page_types.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run: make web, and commit what it wrote"


def test_a_role_is_written_by_its_name() -> None:
    assert {role_name(role) for role in Role} == set(get_args(RoleName))


def test_a_page_is_one_file_that_asks_for_nothing() -> None:
    text = page(walkthrough(TOY))
    assert not re.findall(r"<(?:link|script|img|iframe)[^>]+(?:src|href)=[\"'](?!data:)", text)
    assert "@import" not in text
    assert "url(" not in bundle().style
    assert "default-src 'none'" in text
    assert "connect-src" not in text
    assert text.count("</script>") == 2
    assert served_index().count("<script") == 1


def test_a_hostile_text_cannot_leave_its_place() -> None:
    evil = "</script><script>alert(1)</script><!--\u2028"
    assert "<" not in dumps({"text": evil})
    assert "\u2028" not in dumps({"text": evil})
    text = as_text(walkthrough(TOY))
    assert "</script><script>" not in page(text).split('id="walkthrough">')[1].split("</script>")[0]
    assert 'sandbox="allow-scripts allow-modals"' in notebook_page(text)
    assert "<script" not in notebook_page(text)


def test_blocks_come_back_as_they_went() -> None:
    rng = np.random.default_rng(0)
    for array in (
        rng.normal(size=(2, 3)).astype(np.float32),
        rng.normal(size=5).astype(np.float16),
        np.arange(4, dtype=np.uint8),
        np.arange(3, dtype=np.int32),
        np.zeros((0, 4), np.float32),
    ):
        again = from_block(to_block(array))
        assert again.dtype == array.dtype
        np.testing.assert_array_equal(again, array)
    assert from_block(to_block(np.array([0.5]))).dtype == np.float32
    with pytest.raises(InternalError, match="NaN"):
        to_block(np.array([np.nan]))
    with pytest.raises(InternalError, match="complex"):
        to_block(np.array([1j]))
    with pytest.raises(InternalError, match="inf"):
        plain({"x": float("inf")})


def document_of(made: Walkthrough) -> Any:
    """What stands in a page on disk."""
    return json.loads(page(made).split('id="walkthrough">')[1].split("</script>")[0])


def test_what_all_inputs_share_is_written_once() -> None:
    """Positions of four pictures of 14x14 patches alone were 0.6 MB; every text is back in its place after reading."""
    made = walkthrough(PHOTO, toy=False, light=True)
    whole = replace(made, examples=tuple(replace(made.examples[0], id=f"input-{i}", title="@0") for i in range(4)))
    written = document_of(whole)
    assert len(dumps(written)) < 0.4 * len(whole.to_json())
    texts = written.pop("repeated")
    assert len(texts) == len(set(texts))

    def back(value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"repeated"}:
            return texts[value["repeated"]]
        if isinstance(value, dict):
            return {key: back(each) for key, each in value.items()}
        return [back(each) for each in value] if isinstance(value, list) else value

    assert back(written) == json.loads(whole.to_json())
    assert "repeated" not in json.loads(
        page(replace(made, examples=())).split('id="walkthrough">')[1].split("</script>")[0]
    )


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "page.html"
    size = write_page(walkthrough(TOY), out)
    assert out.stat().st_size == size
    assert [p.name for p in out.parent.iterdir()] == ["page.html"]
    with pytest.raises(OutputError, match=r"something\.html"):
        write_page(walkthrough(TOY), tmp_path / "page.txt")
    with pytest.raises(OutputError, match="cannot be written"):
        write_page(walkthrough(TOY), out / "below-a-file.html")


def test_the_golden_trace_is_the_references(root: Path) -> None:
    """What the TypeScript is tested against is what the numpy reference gives, and Python's encoder (test_encoder)."""
    golden = json.loads((root / "web" / "tests" / "golden.json").read_text(encoding="utf-8"))
    found = json.loads(walkthrough(TOY).to_json())
    assert differences(golden, found) == [], "run: python -m tests.page.write_fixture FOLDER"
    shifted = json.loads(json.dumps(found))
    shifted["examples"][0]["final"] = to_block(from_block(shifted["examples"][0]["final"]) + 1e-3)
    assert differences(golden, shifted) == [".examples.0.final"]


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two documents differ: in numbers by more than processors do, who sum the same numbers in another order."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        if set(one) == {"dtype", "shape", "data"} and one["shape"] == other["shape"]:
            same = np.allclose(from_block(one).astype(float), from_block(other).astype(float), rtol=1e-3, atol=2e-5)
            return [] if same and one["dtype"] == other["dtype"] else [at]
        return [place for key in one for place in differences(one[key], other[key], f"{at}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            place for i, pair in enumerate(zip(one, other, strict=True)) for place in differences(*pair, f"{at}.{i}")
        ]
    if isinstance(one, float) and isinstance(other, float):
        return [] if one == pytest.approx(other, rel=1e-5, abs=1e-7) else [at]
    return [] if one == other else [at]


def test_no_list_tells_its_lines_apart_by_what_they_say(root: Path) -> None:
    """Svelte stops at two lines with one key: names of files, classes and words repeat."""
    keyed = re.compile(r"\{#each (?:[^{}]|\{[^{}]*\})*? as (?:[^{}]|\{[^{}]*\})*?\(([^{}]*)\)\}")
    spoken = re.compile(r"\b(asks|caption|choice|gap|keys|label|name|note|problem|says|sentence|term|text|title)\b")
    files = {file: keyed.findall(file.read_text(encoding="utf-8")) for file in (root / "web" / "src").rglob("*.svelte")}
    assert sum(map(len, files.values())) > 60
    assert {file.name: keys for file, keys in files.items() if any(map(spoken.search, keys))} == {}
