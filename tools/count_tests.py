#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print "PASSED FAILED SKIPPED" for a meson test log; fail when there is none to read."""
import json
import sys


def main():
    passed = failed = skipped = 0
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            result = json.loads(line)["result"]
            if result in ("OK", "EXPECTEDFAIL"):
                passed += 1
            elif result == "SKIP":
                skipped += 1
            else:
                failed += 1
    print(passed, failed, skipped)


try:
    main()
except (OSError, ValueError, KeyError, IndexError) as problem:
    print("count_tests: no usable log:", problem, file=sys.stderr)
    sys.exit(1)
