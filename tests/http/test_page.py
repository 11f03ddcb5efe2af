# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the page's files are served. What they do in a browser is tests/page's."""

import gzip
import re
import shutil

import pytest
from server import TOP, Shim

WEB = TOP / "src" / "web"
FILES = sorted(path for path in WEB.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg"))
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml"}
FILES_MAX = 64
FILE_MAX_BYTES = 256 * 1024


def address(path):
    return "/" if path.name == "index.html" else f"/web/{path.relative_to(WEB)}"


def test_every_file_is_served(shim):
    assert len(FILES) > 10
    for path in FILES:
        answer = shim.get(address(path))
        assert (answer.status, answer.body) == (200, path.read_bytes()), path
        assert answer.headers["Content-Type"] == TYPES[path.suffix]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "ETag" in answer.headers and answer.headers["Cache-Control"] == "no-cache"
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_conditional_and_compressed(shim):
    plain = shim.get("/web/app.js")
    again = shim.get("/web/app.js", headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    packed = shim.get("/web/app.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.body) == plain.body and len(packed.body) < len(plain.body) / 2
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert shim.get("/web/app.js", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}).status == 304
    head = shim.request("HEAD", "/")
    assert (head.status, head.body, int(head.headers["Content-Length"])) == (200, b"", len((WEB / "index.html").read_bytes()))


@pytest.mark.parametrize("path", ["/web/", "/web/none.js", "/web/views/none.js", "/web/views", "/web/meson.build", "/web/../app.js",
                                  "/web/..%2f..%2fconfig.h", "/web/%2e%2e/http/app.h", "/web/views/views/syncs.js"])
def test_nothing_else_is_there(shim, path):
    assert shim.get(path).status == 404


def test_methods(shim):
    answer = shim.post("/", body=b"")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_the_page_loads_nothing_from_elsewhere():
    for path in FILES:
        text = path.read_text()
        assert set(re.findall(r"\bhttps?://[^\s\"'`<)]+", text)) <= {"http://www.w3.org/2000/svg"}, path
        assert not re.search(r"\bstyle=|\bon[a-z]+=\"|innerHTML|outerHTML|insertAdjacentHTML|\beval\(|document\.write", text), path


def test_limits(bus, daemon, tmp_path):
    """As many files and as large ones as there may be; one more, and one byte more, is left out."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "largest.js").write_bytes(b"x" * FILE_MAX_BYTES)
    (folder / "too-large.js").write_bytes(b"x" * (FILE_MAX_BYTES + 1))
    (folder / ".hidden.js").write_text("no")
    (folder / "notes.txt").write_text("no")
    shim = Shim(bus, daemon.config)
    shim.environment["SYNCRUN_WEB_DIR"] = str(folder)
    try:
        shim.start()
        assert len(shim.get("/web/largest.js").body) == FILE_MAX_BYTES
        assert [shim.get(f"/web/{name}").status for name in ("too-large.js", ".hidden.js", "notes.txt")] == [404] * 3
        assert shim.get("/").status == 404
        shim.stop()
        for i in range(FILES_MAX):
            (folder / f"{i}.css").write_text(f"/* {i} */")
        (folder / "largest.js").unlink()
        (folder / "too-large.js").unlink()
        shim.start()
        assert [shim.get(f"/web/{i}.css").status for i in range(FILES_MAX)] == [200] * FILES_MAX
        (folder / "one-more.css").write_text("/* */")
        shim.stop()
        shim.start()
        served = [shim.get(f"/web/{name}.css").status for name in [*range(FILES_MAX), "one-more"]]
        assert sorted(served) == [200] * FILES_MAX + [404]
        assert f"more than {FILES_MAX} files" in shim.log()
        shutil.rmtree(folder)
        shim.stop()
        shim.start()
        assert (shim.get("/").status, shim.get("/openapi.json").status) == (404, 200)
    finally:
        shim.close()
