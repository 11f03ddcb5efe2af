# SPDX-License-Identifier: LGPL-2.1-or-later
"""What comes from npm: the packages of the lock file."""

import fcntl
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def modules(build):
    """They are installed into the build folder once, by whoever of both halves comes first."""
    folder, lock = build / "npm", (HERE / "package-lock.json").read_bytes()
    installed = folder / "installed"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != lock:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            installed.write_bytes(lock)
    return folder / "node_modules"
