# SPDX-License-Identifier: LGPL-2.1-or-later
"""The types that stand in the page's comments are right, and nothing is left there that nobody uses."""

import os
import subprocess
from pathlib import Path

from npm import HERE, modules


def test_types():
    tsc = modules(Path(os.environ["SYNCRUN_PAGE_BUILD"])) / "typescript" / "bin" / "tsc"
    done = subprocess.run(["node", tsc, "--project", HERE / "jsconfig.json"], stdout=subprocess.PIPE, text=True)
    assert done.stdout == "" and done.returncode == 0, done.stdout
