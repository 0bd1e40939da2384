"""Write the golden trace of the page's own tests, and its page: `python -m tests.page.write_fixture FOLDER`."""

import sys
from pathlib import Path

from tests.page.fixture import TOY, walkthrough

from classtoken.page.export import write_page

GOLDEN = Path(__file__).resolve().parents[2] / "web" / "tests" / "golden.json"

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    GOLDEN.write_text(walkthrough(TOY).to_json() + "\n", encoding="utf-8")
    write_page(walkthrough(TOY), folder / "toy.html")
