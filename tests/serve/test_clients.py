"""OpenAI's own clients, of Python and of Node, in both encodings; and a server that is stopped and begun anew."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import folders
from tests.serve.test_service import TEXTS, RunningService

import classtoken as ct

#: A folder with node_modules/openai: `npm install openai` there.
NODE_MODULES = os.environ.get("CLASSTOKEN_NODE_MODULES", "")
SCRIPT = """
import OpenAI from "openai";
const [url, texts] = [process.argv[2], JSON.parse(process.argv[3])];
const client = new OpenAI({ baseURL: url + "/v1", apiKey: "none", maxRetries: 0 });
const found = {};
for (const encoding of [undefined, "float", "base64"]) {
  const asked = { model: "texts", input: texts, ...(encoding ? { encoding_format: encoding } : {}) };
  const answer = await client.embeddings.create(asked);
  found[encoding ?? "usual"] = answer.data.map((entry) => entry.embedding);
}
found.short = (await client.embeddings.create({ model: "texts", input: texts, dimensions: 8 })).data[0].embedding;
found.models = (await client.models.list()).data.map((model) => model.id);
try {
  await client.embeddings.create({ model: "none", input: "cat" });
} catch (error) {
  found.missing = error.status;
}
console.log(JSON.stringify(found));
"""


def numbers(given: Any) -> Any:
    """What a client hands on: numbers, or base64 where that was asked for by name."""
    return np.frombuffer(base64.b64decode(given), "<f4") if isinstance(given, str) else given


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.sentence_transformer(tmp_path_factory.mktemp("clients") / "texts")


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[RunningService]:
    made = RunningService(ct.service(model))
    yield made
    made.stop()


def test_the_python_client(running: RunningService, model: Path) -> None:
    openai = pytest.importorskip("openai", reason="the package openai is not installed")
    expected = ct.load(model).embed(TEXTS)
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client:
        for asked in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
            found: Any = client.embeddings.create(model="texts", input=TEXTS, **asked).data
            read = [numbers(entry.embedding) for entry in found]
            np.testing.assert_allclose(np.array(read, np.float32), expected, atol=1e-5)
        short = client.embeddings.create(model="texts", input=TEXTS, dimensions=8).data[0].embedding
        assert len(short) == 8
        assert [each.id for each in client.models.list()] == ["texts"]
        with pytest.raises(openai.NotFoundError, match="there is no model"):
            client.embeddings.create(model="none", input="cat")
        with pytest.raises(openai.BadRequestError, match="dimensions"):
            client.embeddings.create(model="texts", input="cat", dimensions=999)


def test_the_node_client(running: RunningService, model: Path, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (Path(NODE_MODULES) / "openai").is_dir():
        pytest.skip("no node, or CLASSTOKEN_NODE_MODULES names no node_modules with openai")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "ask.mjs").write_text(SCRIPT)
    command = [node, "ask.mjs", running.url, json.dumps(TEXTS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = ct.load(model).embed(TEXTS)
    for encoding in ("usual", "float", "base64"):
        np.testing.assert_allclose(
            np.array([numbers(vector) for vector in found[encoding]], np.float32), expected, atol=1e-5
        )
    assert len(found["short"]) == 8
    assert found["models"] == ["texts"]
    assert found["missing"] == 404


def begun(model: Path, port: int) -> tuple[subprocess.Popen, str]:
    """A server in a process of its own, and its address, once it says so."""
    command = [sys.executable, "-m", "classtoken", "serve", "--model", str(model), "--port", str(port)]
    # a shell that puts what it runs into the background has it ignore Ctrl-C, and all its children
    usual = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=usual)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://[^/]+", line):
            return process, found[0]
    raise AssertionError("it never served")


@pytest.mark.slow
def test_killed_and_begun_anew(model: Path) -> None:
    httpx = pytest.importorskip("httpx")
    expected = ct.load(model).embed(TEXTS)
    process, url = begun(model, 0)
    port = int(url.rsplit(":", 1)[1])
    try:
        for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                found = client.post("/v1/embeddings", json={"input": TEXTS}).json()["data"]
                read = np.array([entry["embedding"] for entry in found], np.float32)
                np.testing.assert_allclose(read, expected, atol=1e-5)
                assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400
                process.send_signal(stop)
                assert process.wait(20) == code
            if stop != signal.SIGINT:
                process.stderr.close()  # type: ignore[union-attr]
                process, url = begun(model, port)  # on the same port, at once
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()  # type: ignore[union-attr]
