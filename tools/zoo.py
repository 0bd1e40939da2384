"""`make zoo`: open every model type of the installed transformers and write down what became of each.

With names it shows those types and writes nothing; a share of the work takes its place in the table. Ends with 1 where
a vector is wrong, something crashes, or the advice of a refusal leads nowhere.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from tests.zoo.golden import GOLDEN, write
from tests.zoo.outcomes import Outcome, outcome_of
from tests.zoo.tiny import types

#: After so many types processes begin anew: each type imports a module of transformers, which stays.
BATCH = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="types to look at; none: all of them, and the table is written")
    parser.add_argument("--part", default="1/1", help="every so many types, as K/N: a share of the work")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    number, parts = map(int, options.part.split("/"))
    names = options.names or types()[number - 1 :: parts]
    found: dict[str, Outcome] = {}
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models gain nothing from more threads
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        with ProcessPoolExecutor(options.workers) as pool:
            for kind, outcome in zip(batch, pool.map(outcome_of, batch), strict=True):
                found[kind] = outcome
                print(kind, json.dumps(asdict(outcome)), flush=True)
    if not options.names:
        write(found)
        print(f"written: {GOLDEN}", file=sys.stderr)
    return int(any(outcome.bad for outcome in found.values()))


if __name__ == "__main__":
    sys.exit(main())
