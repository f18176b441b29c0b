"""``python -m tests.fuzz 10000``: so many inputs for each parser, or for those named after the number."""

import sys
import time

from tests.fuzz.parsers import Parsers
from tests.fuzz.trying import try_parser


def main(n_examples, names):
    parsers = Parsers()
    try:
        inputs = parsers.inputs()
        for name in names or inputs:
            start = time.perf_counter()
            try_parser(*inputs[name], n_examples=n_examples)
            print(f"{name}: {n_examples} inputs, {time.perf_counter() - start:.0f} s", flush=True)
    finally:
        parsers.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
