# SPDX-License-Identifier: LGPL-2.1-or-later
"""README's way to remote clients, as it is written there: behind nginx and Caddy with TLS, by curl and by JavaScript."""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from server import ALICE, TIMEOUT_SEC, deadline, free_port

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
HOST = "sync.example.org"
BEHIND = "[Server]\nTrustedProxy=127.0.0.1\n"
NGINX = """\
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""
CADDY = "{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}"


def block(language, containing=""):
    """The only such example."""
    (text,) = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S) if containing in text]
    return text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{HOST},DNS:localhost", "-keyout", folder / "key",
                    "-out", folder / "crt"], check=True, capture_output=True)
    return folder


class Proxy:
    """README's, with the ports and files of the test in it."""

    def __init__(self, shim, certificate, folder):
        self.shim = shim
        self.certificate = certificate
        self.folder = folder
        self.port = free_port()
        self.process = None

    def nginx(self):
        text = block("nginx").replace("listen 443", f"listen 127.0.0.1:{self.port}")
        text = re.sub(r"(ssl_certificate(?:_key)?) \S+\.(crt|key);", rf"\1 {self.certificate}/\2;", text)
        path = self.folder / "nginx.conf"
        path.write_text(NGINX.format(folder=self.folder, server=text.replace("127.0.0.1:8377", f"127.0.0.1:{self.shim.port}"),
                                     user="user root;" if os.getuid() == 0 else ""))
        return ["nginx", "-p", self.folder, "-e", self.folder / "error.log", "-c", path]

    def caddy(self):
        text = block("caddy").replace("127.0.0.1:8377", f"127.0.0.1:{self.shim.port}")
        text = text.replace(f"{HOST} {{\n", f"https://{HOST}:{self.port} {{\n\ttls {self.certificate}/crt {self.certificate}/key\n")
        path = self.folder / "Caddyfile"
        path.write_text(CADDY.format(site=text))
        return ["caddy", "run", "--adapter", "caddyfile", "--config", path]

    def start(self, name):
        environment = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(getattr(self, name)(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        until = deadline()
        while socket.socket().connect_ex(("127.0.0.1", self.port)) != 0:
            assert self.process.poll() is None and time.monotonic() < until, (self.folder / "log").read_text()
        return self

    def close(self):
        self.process.terminate()
        self.process.wait(TIMEOUT_SEC)

    def request(self, method, path, body=None, headers=None, source="127.0.0.1"):
        context = ssl.create_default_context(cafile=self.certificate / "crt")
        end = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SEC, (source, 0))
        connection = http.client.HTTPSConnection(HOST, self.port, context=context)
        connection.sock = context.wrap_socket(end, server_hostname=HOST)
        connection.request(method, path, body, headers or {})
        return connection.getresponse()

    def curl(self, line, key):
        """A line of README as it stands, but for the key and where the name leads to."""
        line = line.replace("sk-...", key).replace(f"https://{HOST}", f"https://{HOST}:{self.port}")
        tail = f" -sS --max-time {TIMEOUT_SEC} --cacert {self.certificate}/crt --resolve {HOST}:{self.port}:127.0.0.1"
        return subprocess.Popen(line + tail, shell=True, stdout=subprocess.PIPE, text=True)


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request, new_shim, daemon, client, certificate, tmp_path):
    daemon.add("papers", User=ALICE)
    client.manager("Reload")
    proxy = Proxy(new_shim(BEHIND), certificate, tmp_path).start(request.param)
    yield proxy
    proxy.close()


def test_the_setting_is_readmes():
    assert block("ini", "TrustedProxy") == BEHIND


def test_curl(proxy, key, reporter):
    lines = block("curl").splitlines()
    streams = [line for line in lines if " -N " in line]
    assert len(streams) == 1 and len(lines) == 5
    for line in lines:
        process = proxy.curl(line, key)
        if line in streams:
            assert process.stdout.readline() == ": connected\n"
            # Not one byte is kept back: each event comes before the next is made.
            for i in range(3):
                reporter.say(f"event {i}")
                while f'"message":"event {i}"' not in (line := process.stdout.readline()):
                    assert line
            process.terminate()
            process.wait()
        else:
            answer = json.loads(process.communicate()[0])
            assert process.returncode == 0 and "error" not in answer, line


def test_who_is_at_the_other_end(proxy, key):
    """The proxy says it, and what a client says of itself does not count."""
    for source, more in (("127.0.0.7", {}), ("127.0.0.8", {"X-Forwarded-For": "192.0.2.1"})):
        headers = {"X-API-Key": "sk-" + "0" * 32, **more}
        assert proxy.request("GET", "/v1/sync-runs", headers=headers, source=source).status == 401
        assert f"from {source}: unknown-key" in proxy.shim.log()
    assert "192.0.2.1" not in proxy.shim.log()


def test_the_page_signs_in(proxy, key):
    headers = {"Origin": f"https://{HOST}:{proxy.port}", "X-Syncrun-Page": "1"}
    answer = proxy.request("POST", "/v1/session", json.dumps({"key": key}), headers)
    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 200 and cookie.endswith("; HttpOnly; SameSite=Strict; Secure")
    headers["Cookie"] = cookie.split(";")[0]
    assert proxy.request("POST", "/v1/connectors/papers/sync-now", headers=headers).status == 201
    headers["Origin"] = "https://evil.example"
    assert proxy.request("POST", "/v1/connectors/papers/sync-now", headers=headers).status == 403


@pytest.mark.parametrize("proxy", ["nginx"], indirect=True)
def test_javascript(proxy, key, reporter, tmp_path):
    """It misses nothing and tells nothing twice while the server dies under it."""
    script = tmp_path / "follow.mjs"
    script.write_text(block("js"))
    environment = {**os.environ, "SYNCRUN_URL": f"https://localhost:{proxy.port}", "SYNCRUN_KEY": key,
                   "NODE_EXTRA_CA_CERTS": str(proxy.certificate / "crt")}
    process = subprocess.Popen(["timeout", str(TIMEOUT_SEC), "node", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, env=environment)
    seen = []

    def until(message):
        while not seen or not seen[-1].endswith(f" {message}"):
            seen.append(process.stdout.readline().strip())
            assert seen[-1], seen

    try:
        assert re.fullmatch(r"201 [0-9a-f-]{36}\n", process.stdout.readline())
        reporter.say("before")
        until("before")
        proxy.shim.kill9()
        reporter.say("meanwhile", "and again")
        proxy.shim.start()
        until("and again")
        reporter.say("after")
        until("after")
    finally:
        process.terminate()
        process.wait()
    ids = [int(line.split()[0]) for line in seen]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    told = ("before", "meanwhile", "and again", "after")
    assert [message for line in seen for message in told if line.endswith(f" {message}")] == list(told)
