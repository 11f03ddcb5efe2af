# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two syncs that are made to be watched on the page: one takes its time, one sends what it has to a webhook, which does not
always take it. What they sync is made up; nothing else of the demo knows them."""

import http.server
import sys
import textwrap
import threading

ALBUMS = ("Garden", "Mountains", "Sea", "Town")
PHOTOS = 60  # of each: at this rate all of them take most of a minute
PHOTOS_PER_SEC = 6

SLOW = f"""\
    import json, sys, time
    def send(**message):
        print(json.dumps(message), flush=True)
    n = 0
    for album in {ALBUMS}:
        for _ in range({PHOTOS}):
            if n % 3 == 0:
                send(type="PROGRESS", stage="fetching", processed=n, total={len(ALBUMS) * PHOTOS}, message=f"Album {{album}}")
            send(type="RECORD", stream="photos", account=album, record={{"id": n, "taken": int(time.time()) // 300 * (n % 10 == 0)}})
            n += 1
            time.sleep(1 / {PHOTOS_PER_SEC})
        send(type="ACCOUNT", account=album, status="success")
    send(type="PROGRESS", stage="saving", processed=n, total=n)
    """

ORDERS = """\
    import json, time
    now = int(time.time())
    for n in range(now // 20 % 7 + 1):
        print(json.dumps({"type": "RECORD", "stream": "orders", "record": {"id": f"{now}-{n}", "pieces": n + 1}}), flush=True)
    """

FILES = {
    "photos": """\
        [Connector]
        Description=Photos of four albums, one by one
        Provider=made-up
        [Pipeline]
        ExecPull={python} {folder}/photos.py
        [Destination]
        KeyProperties=photos:id
        """,
    "orders": """\
        [Connector]
        Description=Orders, sent to a webhook
        Provider=made-up
        [Run]
        RetryMax=0
        [Pipeline]
        ExecPull={python} {folder}/orders.py
        [Destination]
        KeyProperties=orders:id
        Type=webhook
        Url={url}
        DisableAfter=0
        """,
}

REFUSES = 4  # each one of so many deliveries, at its first attempt


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what is sent to it, and says now and then that it is busy."""

    n = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.n += 1
        self.send_response(503 if Receiver.n % REFUSES == 0 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def add(instance):
    """Both of them; syncrund finds them when it reads its files anew."""
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    for name, text in (("photos", SLOW), ("orders", ORDERS)):
        (instance.folder / f"{name}.py").write_text(textwrap.dedent(text))
    for name, text in FILES.items():
        (instance.connectors / f"{name}.connector").write_text(textwrap.dedent(text).format(
            python=sys.executable, folder=instance.folder, url=f"http://127.0.0.1:{receiver.server_port}/orders"))
