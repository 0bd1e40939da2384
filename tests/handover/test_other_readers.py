"""An exported model in those who read it: transformers.js, and the ONNX backend of sentence-transformers."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests import folders

import classtoken as ct

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

FITTING = [folders.SENTENCES[place] for place in (0, 1, 3)]
"""no longer than the model takes: of what it cuts, transformers.js drops the last token, which is the end token"""
#: A folder with node_modules/@huggingface/transformers: `npm install @huggingface/transformers` there.
NODE_MODULES = os.environ.get("CLASSTOKEN_NODE_MODULES", "")
SCRIPT = """
import { env, pipeline, AutoModel, AutoTokenizer } from "@huggingface/transformers";
const [folder, name, texts] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
env.allowRemoteModels = false;
env.localModelPath = folder;
const options = { dtype: "fp32", local_files_only: true };
const extract = await pipeline("feature-extraction", name, options);
const pooled = (await extract(texts, { pooling: "mean", normalize: true })).tolist();
const tokenizer = await AutoTokenizer.from_pretrained(name, options);
const model = await AutoModel.from_pretrained(name, options);
const inputs = tokenizer(texts, { padding: true, truncation: true });
const { sentence_embedding } = await model({ input_ids: inputs.input_ids, attention_mask: inputs.attention_mask });
console.log(JSON.stringify({ pooled, whole: sentence_embedding.tolist() }));
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exported")
    ct.export(folders.sentence_transformer(root / "model"), root / "graph")
    return root


def test_transformers_js(exported: Path, tmp_path: Path) -> None:
    """Pooled by itself, and the graph's own vector."""
    node = shutil.which("node")
    if node is None or not (Path(NODE_MODULES) / "@huggingface" / "transformers").is_dir():
        pytest.skip("no node, or CLASSTOKEN_NODE_MODULES names no node_modules with @huggingface/transformers")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "read.mjs").write_text(SCRIPT)
    command = [node, "read.mjs", str(exported), "graph", json.dumps(FITTING)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = ct.load(exported / "model").embed(FITTING)
    for name in ("pooled", "whole"):
        np.testing.assert_allclose(np.array(found[name], np.float32), expected, atol=1e-5, err_msg=name)


def test_the_onnx_backend_of_sentence_transformers(exported: Path) -> None:
    optimum = pytest.importorskip("optimum.onnxruntime", reason="optimum is not installed")
    try:
        optimum.ORTModelForFeatureExtraction  # noqa: B018  imported when it is asked for
    except ImportError as error:
        pytest.skip(f"optimum does not work with this transformers: {error}")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(exported / "graph"), backend="onnx", model_kwargs={"provider": "CPUExecutionProvider"}
    )
    expected = ct.load(exported / "model").embed(folders.SENTENCES)
    np.testing.assert_allclose(model.encode(folders.SENTENCES), expected, atol=1e-5)
