"""`classtoken embed` and `classtoken verify` as a user runs them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import folders

import classtoken as ct
from classtoken.cli import main
from classtoken.results.embed import EmbedResult
from classtoken.results.verify import VerifyResult


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(folders.tiny_bert(tmp_path_factory.mktemp("bert"), pooler=False))


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "a.csv"
    path.write_text("key,body,kind,more\nk1,the cat,p;q,1\nk2,,p,2\nk3,a dog,,3\n", encoding="utf-8")
    return str(path)


COLUMNS = ["--id-column", "key", "--text-column", "body", "--label-column", "kind", "--label-separator", ";"]


def test_embed_and_verify_in_json(tmp_path: Path, bert: str, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    command = ["embed", source, "--model", bert, "--out", out, "--pooling", "cls,mean", "--normalize", *COLUMNS]
    assert main([*command, "--json"]) == 0
    result = EmbedResult.from_json(capsys.readouterr().out)
    assert (result.rows, result.refused, dict(result.columns)) == (2, 1, {"cls": 32, "mean": 32})
    found = ct.read(out)
    assert found.ids == ("k1", "k3")
    assert found.column("label") == ["p|q", None]
    assert found.column("more") == ["1", "3"]
    assert main(["verify", out, "--json"]) == 0
    assert VerifyResult.from_json(capsys.readouterr().out).ok
    assert main(command) == 0
    text = " ".join(capsys.readouterr().out.split())  # where temporary files lie deep, the line is folded
    assert text.startswith(f"2 vectors in 1 file in {out}: cls (32), mean (32) 3 of 3 records were done before")
    assert "k2: has nothing in the column 'body'" in text


def test_a_reason_names_flags_to_people_and_options_to_programs(
    tmp_path: Path, bert: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "`encoding`.txt").write_bytes(b"caf\xe9")
    (texts / "b.txt").write_text("a cat", encoding="utf-8")
    command = ["embed", str(texts), "--model", bert, "--pooling", "mean", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "(--encoding)" in said
    assert "`encoding`.txt: is not UTF-8" in said  # the user's own words stay
    assert main([*command, "--json"]) == 0
    assert "(`encoding`)" in EmbedResult.from_json(capsys.readouterr().out).examples[0].reason


def test_a_key_that_is_called_like_an_option_stays(
    tmp_path: Path, bert: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "a cat"}\n{"text": "a dog", "`labels`": 1, "`labels`": 2}\n', encoding="utf-8")
    assert main(["embed", str(source), "--model", bert, "--pooling", "mean", "--out", str(tmp_path / "out")]) == 0
    assert "has the key '`labels`' twice" in " ".join(capsys.readouterr().out.split())


def test_verify_of_damage_is_2(tmp_path: Path, bert: str, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["embed", source, "--model", bert, "--out", str(out), *COLUMNS]) == 0
    next(out.glob("part-00000-*")).unlink()
    capsys.readouterr()
    assert main(["verify", str(out)]) == 2
    assert re.search(r"problem: part-00000-\w+\.parquet is missing", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pooling", "pooler"], "pooler is refused"),
        (["--strict", *COLUMNS], "record 'k2' of"),
        ([], "has no column text, sentence or image; it has 'key', 'body', 'kind', 'more'"),
        (["--text-column", "bodi"], "Did you mean 'body'?"),
        (["--device", "toaster", *COLUMNS], "toaster"),
        (["--labels", "nowhere.csv", *COLUMNS], "there is no file nowhere.csv"),
    ],
)
def test_what_the_user_did_wrong_is_2(
    tmp_path: Path, bert: str, source: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    if "pooler" in arguments:
        arguments = [*arguments, *COLUMNS]
    assert main(["embed", source, "--model", bert, "--out", str(tmp_path / "out"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written_and_the_run_goes_on(tmp_path: Path, root: Path, bert: str) -> None:
    texts = tmp_path / "a.txt"
    texts.write_text("the cat sits on a mat\n" * 8_000, encoding="utf-8")
    out = tmp_path / "out"
    command = ["embed", str(texts), "--model", bert, "--out", str(out), "--part-rows", "100"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "classtoken", *command],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that started us in the background has interrupts ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 120
    while len(list(out.glob("_meta/receipts/*.json"))) < 2 and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, ""), complained
    assert "Traceback" not in complained
    assert not list(out.rglob("*.unfinished"))
    assert not json.loads((out / "_meta/manifest.json").read_text(encoding="utf-8"))["complete"]
    done = len(list((out / "_meta/receipts").glob("*.json")))
    assert 2 <= done < 80
    assert main([*command, "--json"]) == 0
    assert ct.verify(out).ok
    assert len(ct.read(out)) == 8_000
