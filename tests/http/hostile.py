# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests that are made to hurt, and what is expected of each: the statuses of the answers on its connection, one after
the other; an empty list where the connection ends without a word. A tuple has those that may be."""

RUNS = b"/v1/sync-runs"
EVENTS = b"/api/v1/users/a11ce000-0000-4000-8000-000000000001/sync/events"
STREAM = b"/api/v1/users/a11ce000-0000-4000-8000-000000000001/sync/stream"
KEY = b"X-API-Key: KEY"
CLOSE = b"Connection: close"
HIDDEN = b"GET /v1/connectors HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n\r\n"
SOON = b"{}"

OK, CREATED, BAD, NO_KEY, NO_PATH, NO_METHOD = [200], [201], [400], [401], [404], [405]
TOO_LATE, TOO_LARGE, TOO_LONG, NOT_PROCESSED, HEAD_TOO_LARGE, NO_VERSION = [408], [413], [414], [422], [431], [505]
NOTHING = ([], [408])  # without a word, or told at last that it is late
ANYTHING = None  # of these but 5xx


def lines(*parts):
    return b"\r\n".join([*parts, b"", b""])


def get(target, *headers, method=b"GET", version=b"HTTP/1.1"):
    """A request with a key, after which the connection ends."""
    return lines(method + b" " + target + b" " + version, b"Host: x", KEY, CLOSE, *headers)


def post(*headers, body=b"", target=RUNS):
    return lines(b"POST " + target + b" HTTP/1.1", b"Host: x", KEY, *headers) + body


def sized(body, *headers, target=RUNS):
    return post(b"Content-Length: %d" % len(body), CLOSE, *headers, body=body, target=target)


def chunked(body, *headers, target=RUNS):
    return post(b"Transfer-Encoding: chunked", *headers, body=body, target=target)


# Of a connector that there is not: 404 says that the body was understood.
START = b'{"connectorId":"00000000-0000-4000-8000-00000000dead"}'
SIZE, HEX = b"%d" % len(START), b"%x" % len(START)
ONE_CHUNK = HEX + b"\r\n" + START + b"\r\n0\r\n\r\n"

REQUEST_LINES = {
    "nothing": (b"", NOTHING),
    "an empty line": (b"\r\n", NOTHING),
    "empty lines": (b"\r\n" * 1000, NOTHING),
    "empty lines before a request": (b"\r\n\r\n" + get(RUNS), OK),
    "a method alone": (b"GET\r\n\r\n", NOTHING),
    "no version": (b"GET /v1/sync-runs\r\n\r\n", BAD),
    "HTTP/0.9 with one line break": (b"GET /v1/sync-runs\r\n", BAD),
    "HTTP/0.9 by its name": (get(RUNS, version=b"HTTP/0.9"), NO_VERSION),
    "HTTP/1.2": (get(RUNS, version=b"HTTP/1.2"), OK),
    "HTTP/2.0": (get(RUNS, version=b"HTTP/2.0"), NO_VERSION),
    "HTTP/11": (get(RUNS, version=b"HTTP/11"), BAD),
    "HTTP/1": (get(RUNS, version=b"HTTP/1"), BAD),
    "http/1.1": (get(RUNS, version=b"http/1.1"), BAD),
    "HTTP/1.1.1": (get(RUNS, version=b"HTTP/1.1.1"), BAD),
    "HTTP/+1.1": (get(RUNS, version=b"HTTP/+1.1"), BAD),
    "another protocol": (get(RUNS, version=b"ICY/1.1"), BAD),
    "no protocol": (get(RUNS, version=b"1.1"), BAD),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", NO_VERSION),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512), NOTHING),
    "a TLS hello with line breaks": (b"\x16\x03\x01\r\n\r\n", NOTHING),
    "every byte": (bytes(range(256)) * 40, ANYTHING),
    "NUL bytes": (b"\0" * 4096, NOTHING),
    "NUL bytes before a request": (b"\0\0" + get(RUNS), BAD),
    "a lower-case method": (get(RUNS, method=b"get"), NO_METHOD),
    "a method of another kind": (get(RUNS, method=b"BREW"), NO_METHOD),
    "a long method": (get(RUNS, method=b"A" * 200), NO_METHOD),
    "a method longer than a head": (get(RUNS, method=b"A" * 20000), ANYTHING),
    "TRACE": (get(RUNS, method=b"TRACE"), NO_METHOD),
    "CONNECT": (get(b"example.org:443", method=b"CONNECT"), BAD),
    "CONNECT with a path": (get(RUNS, method=b"CONNECT"), NO_METHOD),
    "a method with a NUL": (get(RUNS, method=b"G\0T"), NO_METHOD),
    "a method with a tab": (get(RUNS, method=b"G\tT"), NO_METHOD),
    "a method in UTF-8": (get(RUNS, method="GÉT".encode()), (BAD, NO_METHOD)),
    "no method": (b" /v1/sync-runs HTTP/1.1\r\nHost: x\r\n\r\n", NOTHING),
    "two blanks": (b"GET  /v1/sync-runs HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n" + CLOSE + b"\r\n\r\n", OK),
    "two blanks before the version": (b"GET /v1/sync-runs  HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n" + CLOSE + b"\r\n\r\n", BAD),
    "a tab for a blank": (b"GET\t/v1/sync-runs\tHTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n\r\n", NOTHING),
    "a blank behind the version": (get(RUNS, version=b"HTTP/1.1 "), BAD),
    "a word more": (get(RUNS + b" x"), BAD),
    "a request line of 100 KB": (get(b"/" + b"a" * 100000), TOO_LONG),
}

LINE_BREAKS = {
    "bare line feeds": (b"GET /v1/sync-runs HTTP/1.1\nHost: x\n" + KEY + b"\nConnection: close\n\n", OK),
    "a bare line feed in a head": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x\nX-Other: y", KEY, CLOSE), OK),
    "bare carriage returns": (b"GET /v1/sync-runs HTTP/1.1\rHost: x\r\r", NOTHING),
    "a bare carriage return in a value": (get(RUNS, b"X: a\rb"), (OK, BAD)),
    "a header behind a bare carriage return": (post(b"X: a\rContent-Length: 5", b"Content-Length: " + SIZE, CLOSE, body=START),
                                               (NO_PATH, BAD)),
    "a carriage return too many": (b"GET /v1/sync-runs HTTP/1.1\r\r\nHost: x\r\n\r\n", ANYTHING),
    "a line feed before a carriage return": (b"GET /v1/sync-runs HTTP/1.1\n\rHost: x\n\r\n\r", ANYTHING),
    "the head ends in the middle": (b"GET /v1/sync-runs HTTP/1.1\r\nHost: x\r\nX-A", NOTHING),
}

TARGETS = {
    "an asterisk": (get(b"*"), BAD),
    "an asterisk for OPTIONS": (get(b"*", method=b"OPTIONS"), [204]),
    "no slash": (get(b"v1/sync-runs"), BAD),
    "a question mark alone": (get(b"?a"), BAD),
    "a NUL": (get(b"/v1/sync-runs%00"), BAD),
    "a raw NUL": (get(b"/v1/sync-runs\0"), OK),
    "a raw NUL and more": (get(b"/healthz\0/../x"), OK),
    "a NUL in the query": (get(RUNS + b"?a=%00"), BAD),
    "an escape of a control character": (get(RUNS + b"/%0d%0aX:y"), BAD),
    "a header in a value": (get(RUNS + b"?cursor=a%0d%0aSet-Cookie:%20a=b"), BAD),
    "DEL": (get(RUNS + b"?a=%7f"), BAD),
    "an escape that is none": (get(RUNS + b"?a=%zz"), BAD),
    "half an escape": (get(RUNS + b"?a=%4"), BAD),
    "a per cent alone": (get(b"/%"), BAD),
    "an escape of an escape": (get(b"/v1/%2573ync-runs"), NO_PATH),
    "Microsoft's escape": (get(b"/%u002e%u002e/"), BAD),
    "half a character": (get(RUNS + b"?a=%c3"), BAD),
    "a character that is too long": (get(b"/%c0%af"), BAD),
    "a dot that is too long": (get(b"/%c0%ae%c0%ae/etc/passwd"), BAD),
    "half of a pair": (get(RUNS + b"?a=%ed%a0%80"), BAD),
    "beyond Unicode": (get(RUNS + b"?a=%f4%90%80%80"), BAD),
    "a raw byte": (get(RUNS + b"?a=\xff"), BAD),
    "raw UTF-8": (get("/v1/sync-runs?x=grüße".encode()), OK),
    "a dot": (get(b"/./v1/sync-runs"), NO_PATH),
    "dots": (get(b"/../../etc/passwd"), NO_PATH),
    "escaped dots": (get(b"/%2e%2e/%2e%2e/etc/passwd"), NO_PATH),
    "dots and escaped slashes": (get(b"/..%2f..%2fetc%2fpasswd"), NO_PATH),
    "dots and backslashes": (get(b"/..\\..\\etc\\passwd"), NO_PATH),
    "dots that lead back": (get(b"/v1/x/../sync-runs"), NO_PATH),
    "dots in a name": (get(b"/v1/connectors/.."), NO_PATH),
    "escaped slashes in a name": (get(b"/v1/connectors/..%2f..%2fx"), NO_PATH),
    "an empty segment": (get(b"//v1/sync-runs"), NO_PATH),
    "empty segments": (get(b"/" * 17), TOO_LONG),
    "another server's segments": (get(b"//example.org/v1/sync-runs"), NO_PATH),
    "a slash more": (get(RUNS + b"/"), NO_PATH),
    "upper case": (get(b"/V1/SYNC-RUNS"), NO_PATH),
    "a parameter of the path": (get(b"/v1/sync-runs;a=b"), NO_PATH),
    "a path of 16 segments": (get(b"/a" * 16), NO_PATH),
    "a path of 17 segments": (get(b"/a" * 17), TOO_LONG),
    "64 parameters": (get(RUNS + b"?" + b"a&" * 64), OK),
    "65 parameters": (get(RUNS + b"?" + b"a&" * 65), TOO_LONG),
    "parameters without names": (get(RUNS + b"?=&=&=a&&&"), OK),
    "a parameter twice": (get(RUNS + b"?limit=1&limit=2"), OK),
    "a question mark more": (get(RUNS + b"?limit=1?limit=2"), NOT_PROCESSED),
    "a fragment": (get(RUNS + b"#/../x"), OK),
    "absolute": (get(b"http://example.org" + RUNS), OK),
    "absolute in upper case": (get(b"HTTP://EXAMPLE.ORG" + RUNS), OK),
    "absolute without a path": (get(b"http://example.org"), BAD),
    "absolute with a user": (get(b"http://user:password@example.org" + RUNS), OK),
    "absolute with a query alone": (get(b"http://example.org?a=b"), BAD),
    "absolute with TLS": (get(b"https://example.org" + RUNS), BAD),
    "absolute of another kind": (get(b"file:///etc/passwd"), BAD),
    "absolute without a host": (get(b"http://" + RUNS), OK),
    "a script": (get(b"javascript:alert(1)"), BAD),
    "a number that is too large": (get(RUNS + b"?limit=99999999999999999999"), NOT_PROCESSED),
    "a number below": (get(RUNS + b"?limit=-1"), NOT_PROCESSED),
    "a number in hex": (get(RUNS + b"?limit=0x10"), NOT_PROCESSED),
    "a number with blanks": (get(RUNS + b"?limit=+1"), NOT_PROCESSED),
    "no number": (get(RUNS + b"?limit="), NOT_PROCESSED),
    "a number in Arabic digits": (get(RUNS + b"?limit=%d9%a1"), NOT_PROCESSED),
    "SQL": (get(RUNS + b"?connectorId=x'%20OR%201=1--"), NOT_PROCESSED),
    "a cursor of nobody's": (get(RUNS + b"?cursor=AAAA%27%22%3b"), NOT_PROCESSED),
    "a position of nobody's": (get(STREAM + b"?last_event_id=18446744073709551615"), NOT_PROCESSED),
    "a user who is none": (get(b"/api/v1/users/..%2f/sync/recent"), NOT_PROCESSED),
    "a format": (get(b"/v1/connectors/%25n%25s%25n"), NO_PATH),
    "markup": (get(b"/v1/connectors/%3cscript%3e"), NO_PATH),
}

HEADERS = {
    "no host": (b"GET /v1/sync-runs HTTP/1.1\r\n" + KEY + b"\r\n\r\n", BAD),
    "no host in HTTP/1.0": (b"GET /v1/sync-runs HTTP/1.0\r\n" + KEY + b"\r\n" + CLOSE + b"\r\n\r\n", OK),
    "two hosts": (get(RUNS, b"Host: y"), BAD),
    "the host twice": (get(RUNS, b"Host: x"), BAD),
    "an empty host": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host:", KEY, CLOSE), OK),
    "a blank before the colon": (get(RUNS, b"X-A : b"), BAD),
    "a tab before the colon": (get(RUNS, b"X-A\t: b"), BAD),
    "a blank in a name": (get(RUNS, b"X A: b"), BAD),
    "no colon": (get(RUNS, b"X-A"), BAD),
    "no name": (get(RUNS, b": b"), (OK, BAD)),
    "a folded line": (get(RUNS, b"X-A: b", b" c"), (OK, BAD)),
    "a folded first line": (lines(b"GET /v1/sync-runs HTTP/1.1", b" Host: x", KEY, CLOSE), BAD),
    "a folded length": (post(b"Content-Length: 5", b" 4", CLOSE, body=START), BAD),
    "a folded coding": (post(b"Transfer-Encoding:", b" chunked", CLOSE, body=ONE_CHUNK), (BAD, NO_PATH)),
    "a NUL in a value": (get(RUNS, b"X-A: b\0c"), (OK, BAD)),
    "a NUL in a name": (get(RUNS, b"X\0A: b"), BAD),
    "bytes in a value": (get(RUNS, b"X-A: \xff\xfe\x80"), OK),
    "bytes in a name": (get(RUNS, b"\xff\xfe: a"), (OK, BAD)),
    "control characters in a value": (get(RUNS, b"X-A: \x01\x02\x1b[31m"), (OK, BAD)),
    "a long value": (get(RUNS, b"X-A: " + b"a" * 5000), HEAD_TOO_LARGE),
    "a long name": (get(RUNS, b"A" * 5000 + b": a"), HEAD_TOO_LARGE),
    "a hundred headers": (get(RUNS, *(b"X-%d: a" % i for i in range(100))), HEAD_TOO_LARGE),
    "ten thousand headers": (get(RUNS, *(b"X-%d: a" % i for i in range(10000))), HEAD_TOO_LARGE),
    "a megabyte of header": (get(RUNS, b"X-A: " + b"a" * 1000000), HEAD_TOO_LARGE),
    "a connection of all kinds": (get(RUNS, b"Connection: keep-alive, close, upgrade, te"), OK),
    "an upgrade": (get(RUNS, b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), OK),
    "a WebSocket": (get(RUNS, b"Upgrade: websocket", b"Sec-WebSocket-Key: x"), OK),
    "a range": (get(RUNS, b"Range: bytes=0-1,0-1,0-1,0-1"), OK),
    "a wish that nobody knows": (post(b"Expect: 200-maybe", b"Content-Length: " + SIZE, CLOSE, body=START),
                                 (NO_PATH, [417])),
    "codings without end": (get(RUNS, b"Accept-Encoding: " + b"gzip;q=0.1," * 200), OK),
    "weights that are none": (get(RUNS, b"Accept-Encoding: gzip;q=;;q=,;q=9e999,gzip;"), OK),
    "tags without end": (get(RUNS, b"If-None-Match: " + b'W/"a",' * 400), OK),
    "tags that are none": (get(RUNS, b'If-None-Match: "", W/, "a'), OK),
    "a position that is none": (get(RUNS, b"Last-Event-ID: \xff"), OK),
    "methods by another header": (get(RUNS, b"X-HTTP-Method-Override: DELETE"), OK),
    "a path by another header": (get(b"/none", b"X-Original-URL: /healthz", b"X-Rewrite-URL: /healthz"), NO_PATH),
    "a client that is none": (get(RUNS, b"X-Forwarded-For: ';--, ::::, 999.1.1.1"), OK),
}

KEYS = {
    "none": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", CLOSE), NO_KEY),
    "empty": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"X-API-Key:", CLOSE), NO_KEY),
    "bytes": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"X-API-Key: \xff\xfe", CLOSE), NO_KEY),
    "long": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"X-API-Key: " + b"s" * 2000, CLOSE), NO_KEY),
    "a prefix": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"X-API-Key: sk-", CLOSE), NO_KEY),
    "upper case": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"X-API-Key: UPPER", CLOSE), NO_KEY),
    "with more behind": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", KEY + b"0", CLOSE), NO_KEY),
    "quoted": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b'X-API-Key: "KEY"', CLOSE), NO_KEY),
    "an empty bearer": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Authorization: Bearer", CLOSE), NO_KEY),
    "a bearer of blanks": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Authorization: Bearer   ", CLOSE), NO_KEY),
    "basic": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Authorization: Basic eDp5", CLOSE), NO_KEY),
    "a token of nobody's": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Authorization: Bearer eyJhbGciOiJub25lIn0."
                                  b"eyJzdWIiOiJ4In0.", CLOSE), NO_KEY),
    "dots for a token": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Authorization: Bearer ...", CLOSE), NO_KEY),
    "two keys": (get(RUNS, b"X-API-Key: sk-00000000000000000000000000000000"), BAD),
    "two keys of the other name": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", CLOSE, *[b"X-Open-Wearables-API-Key: KEY"] * 2), BAD),
    "the same key twice": (get(RUNS, KEY), BAD),
    "the same key by two names": (get(RUNS, b"X-Open-Wearables-API-Key: KEY"), BAD),
    "another key by another name": (get(RUNS, b"X-Open-Wearables-API-Key: sk-00000000000000000000000000000000"), BAD),
    "a key and a bearer": (get(RUNS, b"Authorization: Bearer KEY"), BAD),
    "a key and a token": (get(RUNS, b"Authorization: Bearer a.b.c"), BAD),
    "a key and an empty bearer": (get(RUNS, b"Authorization: Bearer "), (BAD, OK)),
    "a key and a session": (get(RUNS, b"Cookie: syncrun_session=v1.x"), BAD),
    "a bearer and a session": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", CLOSE, b"Authorization: Bearer KEY",
                                     b"Cookie: syncrun_session=v1.x"), BAD),
    "a key and a proxy's own": (get(RUNS, b"Authorization: Basic eDp5"), OK),
    "a key and another's cookie": (get(RUNS, b"Cookie: session=x"), OK),
    "a key twice": (get(RUNS, KEY), BAD),
    "two bearers": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Authorization: Bearer KEY", b"Authorization: Bearer x",
                          CLOSE), BAD),
    "in the query": (lines(b"GET /v1/sync-runs?api_key=KEY&X-API-Key=KEY HTTP/1.1", b"Host: x", CLOSE), NO_KEY),
    "behind a NUL": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"X-API-Key: \0KEY", CLOSE), (NO_KEY, BAD)),
    "a cookie of nobody's": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Cookie: syncrun_session=a.b.c", CLOSE), NO_KEY),
    "a cookie that is none": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", b"Cookie: =;;=;syncrun_session", CLOSE), NO_KEY),
}

LENGTHS = {
    "as it should be": (sized(START), NO_PATH),
    "below nothing": (post(b"Content-Length: -1"), BAD),
    "with a sign": (post(b"Content-Length: +" + SIZE, body=START), BAD),
    "with a word": (post(b"Content-Length: " + SIZE + b"x", body=START), BAD),
    "in hex": (post(b"Content-Length: 0x" + HEX, body=START), BAD),
    "a fraction": (post(b"Content-Length: " + SIZE + b".0", body=START), BAD),
    "an exponent": (post(b"Content-Length: 5e1", body=START), BAD),
    "a list": (post(b"Content-Length: 54, 54", body=START), BAD),
    "empty": (post(b"Content-Length:", body=START), BAD),
    "a word": (post(b"Content-Length: many", body=START), BAD),
    "a NUL": (post(b"Content-Length: \x0054", body=START), BAD),
    "with zeros before it": (post(b"Content-Length: 00000000000000000000000" + SIZE, CLOSE, body=START), (NO_PATH, BAD)),
    "too large for any number": (post(b"Content-Length: 99999999999999999999"), TOO_LARGE),
    "2^64": (post(b"Content-Length: 18446744073709551616"), TOO_LARGE),
    "2^64 - 1": (post(b"Content-Length: 18446744073709551615"), TOO_LARGE),
    "2^63": (post(b"Content-Length: 9223372036854775808"), TOO_LARGE),
    "2^32 and the body": (post(b"Content-Length: 4294967350", body=START), TOO_LARGE),
    "the limit and one": (post(b"Content-Length: 262145"), TOO_LARGE),
    "less than came": (post(b"Content-Length: 50", CLOSE, body=START), BAD),
    "more than came": (post(b"Content-Length: 55", CLOSE, body=START), NOTHING),
    "nothing": (post(b"Content-Length: 0", CLOSE), BAD),
    "nothing, and a body": (post(b"Content-Length: 0", body=START + b"\r\n\r\n"), ([400], [400, 400])),
    "of a GET": (get(RUNS, b"Content-Length: 5") + b"hello", OK),
    "of a GET, and a request in the body": (lines(b"GET /v1/sync-runs HTTP/1.1", b"Host: x", KEY, CLOSE,
                                                  b"Content-Length: %d" % len(HIDDEN)) + HIDDEN, OK),
}

SMUGGLING = {
    name: (post(*headers, body=b"0\r\n\r\n" + HIDDEN), BAD) for name, headers in {
        "a length and chunks": [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        "chunks and a length": [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        "chunks and a length of nothing": [b"Transfer-Encoding: chunked", b"Content-Length: 0"],
        "two lengths": [b"Content-Length: 5", b"Content-Length: 6"],
        "a length twice": [b"Content-Length: 5", b"Content-Length: 5"],
        "a list of lengths": [b"Content-Length: 5,5"],
        "chunks and identity": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        "identity and chunks": [b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"],
        "chunks twice": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        "a list of chunks": [b"Transfer-Encoding: chunked, chunked"],
        "xchunked": [b"Transfer-Encoding: xchunked"],
        "chunked, identity": [b"Transfer-Encoding: chunked, identity"],
        "identity": [b"Transfer-Encoding: identity"],
        "gzip, chunked": [b"Transfer-Encoding: gzip, chunked"],
        "quoted": [b'Transfer-Encoding: "chunked"'],
        "a parameter": [b"Transfer-Encoding: chunked;a=b"],
        "an empty coding": [b"Transfer-Encoding:"],
        "an empty coding and a length": [b"Transfer-Encoding:", b"Content-Length: 5"],
        "a coding with a vertical tab": [b"Transfer-Encoding: \x0bchunked"],
        "a blank before the length's colon": [b"Content-Length : 5"],
        "a blank before the coding's colon": [b"Transfer-Encoding : chunked"],
        "a tab before the coding's colon": [b"Transfer-Encoding\t: chunked"],
        "a blank before the length": [b" Content-Length: 5"],
        "a blank before the coding": [b"X: y", b" Transfer-Encoding: chunked"],
        "another host": [b"Host: y", b"Content-Length: 5"],
        "a coding behind a NUL": [b"Content-Length: 5", b"Transfer-Encoding\0: chunked"],
    }.items()
}

CHUNKS = {
    "as they should be": (chunked(ONE_CHUNK, CLOSE), NO_PATH),
    "CHUNKED": (post(b"Transfer-Encoding: CHUNKED", CLOSE, body=ONE_CHUNK), NO_PATH),
    "an extension": (chunked(HEX + b";a=b;c\r\n" + START + b"\r\n0;d\r\n\r\n", CLOSE), NO_PATH),
    "a trailer": (chunked(HEX + b"\r\n" + START + b"\r\n0\r\nX-A: b\r\n\r\n", CLOSE), NO_PATH),
    "a trailer that asks for more": (chunked(HEX + b"\r\n" + START + b"\r\n0\r\nContent-Length: 500\r\n\r\n", CLOSE), NO_PATH),
    "zeros before the size": (chunked(b"000000" + HEX + b"\r\n" + START + b"\r\n0\r\n\r\n", CLOSE), NO_PATH),
    "a size in upper case": (chunked(b"00" + HEX + b"\r\n" + START + b"\r\n000\r\n\r\n", CLOSE), NO_PATH),
    "no size": (chunked(b"\r\n" + START + b"\r\n0\r\n\r\n"), BAD),
    "a size that is none": (chunked(b"zz\r\n"), BAD),
    "a size below nothing": (chunked(b"-1\r\n"), BAD),
    "a size with a sign": (chunked(b"+" + HEX + b"\r\n" + START + b"\r\n0\r\n\r\n"), BAD),
    "a size with 0x": (chunked(b"0x" + HEX + b"\r\n" + START + b"\r\n0\r\n\r\n"), BAD),
    "a size with a blank before it": (chunked(b" " + HEX + b"\r\n" + START + b"\r\n0\r\n\r\n"), BAD),
    "a size that is too large": (chunked(b"ffffffffffffffffff\r\n"), TOO_LARGE),
    "a size of 2^64 - 1": (chunked(b"ffffffffffffffff\r\na"), (TOO_LARGE, BAD, *NOTHING)),
    "a body over the limit": (chunked(b"50000\r\n" + b" " * 0x50000), TOO_LARGE),
    "a chunk that is longer": (chunked(b"5\r\n" + START + b"\r\n0\r\n\r\n"), BAD),
    "a chunk that is shorter": (chunked(b"37\r\n" + START + b"\r\n0\r\n\r\n", CLOSE), (BAD, NO_PATH)),
    "no line break behind a chunk": (chunked(HEX + b"\r\n" + START + b"0\r\n\r\n"), BAD),
    "a line feed for a line break": (chunked(HEX + b"\n" + START + b"\n0\n\n", CLOSE), (NO_PATH, BAD)),
    "a carriage return for one": (chunked(HEX + b"\r" + START + b"\r0\r\r"), (BAD, *NOTHING)),
    "no end": (chunked(HEX + b"\r\n" + START + b"\r\n", CLOSE), NOTHING),
    "an end without its empty line": (chunked(HEX + b"\r\n" + START + b"\r\n0\r\n", CLOSE), NOTHING),
    "an extension without end": (chunked(b"1;" + b"a" * 20000), ANYTHING),
    "a size without end": (chunked(b"0" * 20000), ANYTHING),
    "a trailer without end": (chunked(b"0\r\nX: " + b"a" * 20000), ANYTHING),
    "single bytes": (chunked(b"".join(b"1\r\n%c\r\n" % c for c in START) + b"0\r\n\r\n", CLOSE), NO_PATH),
    "of HTTP/1.0": (lines(b"POST /v1/sync-runs HTTP/1.0", b"Host: x", KEY, b"Transfer-Encoding: chunked") + ONE_CHUNK, ANYTHING),
    "of a GET": (get(RUNS, b"Transfer-Encoding: chunked") + ONE_CHUNK, OK),
}

BODIES = {
    "no JSON": (sized(b"{"), BAD),
    "XML": (sized(b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"), BAD),
    "a form": (sized(b"connectorId=none", b"Content-Type: application/x-www-form-urlencoded"), BAD),
    "a form of files": (sized(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
                              b"Content-Type: multipart/form-data; boundary=x"), BAD),
    "a form without a boundary": (sized(b"--x\r\n\r\n", b"Content-Type: multipart/form-data"), BAD),
    "a NUL": (sized(b"\0"), BAD),
    "a NUL behind it": (sized(START + b"\0"), BAD),
    "a NUL in a string": (sized(b'{"connectorId":"a\0b"}'), BAD),
    "an escaped NUL": (sized(b'{"connectorId":"a\\u0000b"}'), (NOT_PROCESSED, BAD)),
    "bytes": (sized(b'{"connectorId":"\xff"}'), BAD),
    "half of a pair": (sized(b'{"connectorId":"\\ud800"}'), (NO_PATH, NOT_PROCESSED, BAD)),
    "a mark of the byte order": (sized(b"\xef\xbb\xbf" + START), BAD),
    "UTF-16": (sized(START.decode().encode("utf-16")), BAD),
    "gzip": (sized(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"Content-Encoding: gzip"), BAD),
    "an array": (sized(b"[]"), NOT_PROCESSED),
    "a number": (sized(b"1e999999999"), (NOT_PROCESSED, BAD)),
    "another type": (sized(b'{"connectorId":{}}'), NOT_PROCESSED),
    "a name of another kind": (sized(b'{"connectorId":"../../x"}'), NOT_PROCESSED),
    "a long name": (sized(b'{"connectorId":"' + b"a" * 100000 + b'"}'), NOT_PROCESSED),
    "a key twice": (sized(b'{"connectorId":"none","connectorId":"none"}'), (NO_PATH, NOT_PROCESSED, BAD)),
    "deep": (sized(b"[" * 100000), BAD),
    "deep objects": (sized(b'{"a":' * 50000), BAD),
    "two values": (sized(START * 2), BAD),
    "a comment": (sized(b"/**/" + START), BAD),
    "events of another user": (sized(b'{"run_id":"r","user_id":"b0b00000-0000-4000-8000-000000000002"}', target=EVENTS), NOT_PROCESSED),
    "an event that is none": (sized(b"[1]", target=EVENTS), NOT_PROCESSED),
    "1001 events": (sized(b"[" + b",".join([SOON] * 1001) + b"]", target=EVENTS), TOO_LARGE),
    "no events": (sized(b"[]", target=EVENTS), (CREATED, NOT_PROCESSED)),
    "a stream with a body": (post(b"Content-Length: 2", CLOSE, body=b"{}", target=STREAM), NO_METHOD),
}

PIPELINES = {
    "a hundred requests": ((get(b"/none").replace(CLOSE, b"X: y")) * 100, NO_PATH * 100),
    "a refusal ends it": (b"GET /none HTTP/1.1\r\n\r\n" + HIDDEN, BAD),
    "close ends it": (get(RUNS) + HIDDEN, OK),
    "garbage behind a request": (lines(b"GET /none HTTP/1.1", b"Host: x") + b"\0\1\2\3\r\n\r\n", ([404], [404, 400])),
    "a body that is too large ends it": (post(b"Content-Length: 9999999") + HIDDEN, TOO_LARGE),
    "a request behind HTTP/1.0": (lines(b"GET /none HTTP/1.0", b"Host: x") + HIDDEN, NO_PATH),
    "half a request behind one": (lines(b"GET /none HTTP/1.1", b"Host: x") + HIDDEN[:30], ([404], [404, 408])),
    "a wish to go on, and the body at once": (sized(START, b"Expect: 100-continue"), ([100, 404], [404])),
    "requests behind HEAD": (lines(b"HEAD /none HTTP/1.0", b"Host: x") + HIDDEN, NO_PATH),
}

TABLES = {"line": REQUEST_LINES, "breaks": LINE_BREAKS, "target": TARGETS, "header": HEADERS, "key": KEYS, "length": LENGTHS,
          "smuggling": SMUGGLING, "chunks": CHUNKS, "body": BODIES, "pipeline": PIPELINES}
