"""Runs the tests of the template, and says what came out in the words of Rust's test programs, which tests/run counts.

usage: python tests/deploy [FILTER...]
"""

import re
import sys
import time
import traceback

import linters
import rules  # noqa: F401 (registers them)
from rule import ALL
from template import Template, load


def holds(one):
    def test():
        return one(Template(load()))

    return test


def sees(one, change, expected):
    def test():
        template = Template(load())
        change(template)
        found = one(template)
        if not any(expected in problem for problem in found):
            yield f"a template that breaks it ({expected!r}) is taken; found: {found}"

    return test


def word(expected):
    return re.sub(r"[^a-z0-9]+", "_", expected.lower()).strip("_")


def tests():
    """(name, function that yields what is wrong) of every test."""
    for one in ALL:
        yield f"deploy::{one.name}", holds(one)
        if not one.breaks:
            yield f"deploy::{one.name}::breaks", lambda: ["no template breaks this rule: it has never been seen to fail"]
        for number, (change, expected) in enumerate(one.breaks, 1):
            yield f"deploy::{one.name}::broken_{number}_{word(expected)}", sees(one, change, expected)
    for linter in linters.ALL:
        yield f"deploy::{linter.__name__}", linter


def main(filters):
    chosen = [(name, test) for name, test in tests() if not filters or any(f in name for f in filters)]
    failures, started = [], time.monotonic()
    print(f"\nrunning {len(chosen)} tests")
    for name, test in chosen:
        try:
            problems = list(test())
        except Exception:  # noqa: BLE001 (a test that breaks down has failed)
            problems = [traceback.format_exc()]
        print(f"test {name} ... {'FAILED' if problems else 'ok'}", flush=True)
        if problems:
            failures.append((name, problems))
    for name, problems in failures:
        print(f"\n---- {name} ----")
        print("\n".join(problems))
    result = "FAILED" if failures else "ok"
    passed = len(chosen) - len(failures)
    print(f"\ntest result: {result}. {passed} passed; {len(failures)} failed; finished in {time.monotonic() - started:.2f}s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
