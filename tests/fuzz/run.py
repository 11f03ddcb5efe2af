#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run every libFuzzer target of a build folder for a while; what it finds is left in that folder."""

import argparse
import subprocess
import sys
from pathlib import Path

CORPORA = Path(__file__).resolve().parent / "corpus"
LIBFUZZER_OPTIONS = ["-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=10", "-verbosity=0"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()

    folder = (args.build / "tests" / "fuzz").resolve()
    targets = sorted(path for path in folder.glob("fuzz-*") if path.is_file())
    found = []
    for target in targets:
        name = target.name.removeprefix("fuzz-")
        grown = folder / "grown" / name
        grown.mkdir(parents=True, exist_ok=True)
        print(f"== {name}: {args.seconds} s", flush=True)
        command = [target, f"-max_total_time={args.seconds}", *LIBFUZZER_OPTIONS, grown, CORPORA / name]
        if subprocess.run(command, cwd=folder).returncode != 0:
            found.append(name)

    print(f"{len(targets) - len(found)} clean, {len(found)} with findings" + "".join(f" {name}" for name in found))
    return 1 if found or not targets else 0


if __name__ == "__main__":
    sys.exit(main())
