"""Request lines and headers that are odd."""

from urllib.parse import quote

from hypothesis import strategies as st

from tests.abuse.bodies import CREATE, FORM
from tests.abuse.wire import JSON, Request, request

FILM = "film"  # the task that is there
FILE = b"/v1/files/download/film.mp4"
EVENTS = b"/v1/tasks/film/events"
TARGETS = [
    *(b"/v1/tasks/film/status", EVENTS, b"/v1/tasks/film", b"/v1/tasks/queue/status", b"/v1/tasks"),
    *(FILE, b"/v1/service/health", b"/v1/service/ready", b"/v1/service/status", b"/docs"),
    *(b"/v1/service/metadata", b"/v1/service/metrics", b"/v1/service/metrics/json", b"/redoc"),
    *(b"/openapi.json", b"/docs/assets/a", b"/v1", b"/v1/nothing"),
    *(b"/telefuser.v1.TaskService/CreateTask", b"/grpc.health.v1.Health/Check", CREATE, FORM),
    *(b"/v1/images/generations", b"/v1/images/edits", b"/v1/images/variations"),
    *(b"/v1/images/film/content", b"/v1/models", b"/v1/models/a", b"/v1/embeddings"),
    *(b"/v1/videos", b"/v1/videos/none", b"/v1/videos/film/content", b"/v1/videos/film/remix"),
    *(b"/v1/videos/edits", b"/v1/videos/extensions", b"/v1/videos/characters"),
    *(b"/v1/videos/characters/a", b"/videos/a.mp4"),
    *(b"/health", b"/generate", b"/v1/generate", b"/outputs/a.mp4"),
    *(b"/envoy.service.auth.v3.Authorization/Check", b"/__artifacts/tasks.db", b"/"),
]
METHODS = [
    *(b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT"),
    *(b"PROPFIND", b"BREW", b"get", b"G\xc3\x89T", b"", b"GET/", b"A" * 300),
]


def _unbroken(text: bytes) -> bytes:
    return text.replace(b"\r", b"").replace(b"\n", b"")


any_bytes = st.binary(max_size=40).map(_unbroken)
# Most bytes below 32 are refused by HTTP itself, and with them all that the service would say.
line_bytes = st.one_of(
    any_bytes,
    any_bytes.map(lambda text: bytes(each | 0x80 for each in text)),
    st.binary(max_size=40).map(lambda text: bytes(32 + each % 95 for each in text)),
)
names = st.one_of(
    st.sampled_from(
        [
            *(b"X-Request-Id", b"X-Forwarded-For", b"X-Envoy-Original-Path"),
            *(b"X-Client-Id", b"Cookie"),
            *(b"Accept", b"Accept-Encoding", b"Content-Encoding", b"Content-Type"),
            *(b"Origin", b"Host"),
            *(b"Te", b"Trailer", b"Upgrade", b"Expect", b"Authorization", b"Traceparent"),
            b"Baggage",
            *(b"Grpc-Timeout", b"Grpc-Encoding", b"A-Bin", b"X-Http-Method-Override"),
            *(b"Via", b"Date"),
            *(b"X-Envoy-Upstream-Rq-Timeout-Ms", b"X-Envoy-Max-Retries", b"X-Http-Status"),
            b"Range",
            *(b"Idempotency-Key", b"X-Error-Json", b"Access-Control-Request-Method", b"Connection"),
            *(b"Last-Event-ID", b"If-None-Match", b"If-Range", b"If-Match", b"If-Modified-Since"),
        ]
    ),
    st.from_regex(rb"[A-Za-z0-9_.!#$%&'*+^`|~-]{1,20}", fullmatch=True),
    line_bytes,
)
odd_values = st.one_of(
    line_bytes,
    st.text(max_size=20).map(str.encode).map(_unbroken),
    st.integers(1, 70_000).map(lambda length: b"a" * length),
    st.integers().map(lambda number: b"%d" % number),
    st.sampled_from(
        [
            *(
                b"",
                b"*",
                b'"',
                b'W/"',
                b",,,",
                b"%00",
                b"\x00",
                b"\x7f",
                b"gzip",
                b"trailers",
                b"br",
            ),
            *(b"100-continue", b"websocket", b"h2c", b"http://evil", b"application/grpc"),
            *(b"1n", b"0"),
            *(b"application/grpc-web+proto", b"application/grpc-web-text", b"application/json"),
        ]
    ),
)
ranges = st.one_of(
    st.builds(lambda first, last: b"bytes=%d-%d" % (first, last), st.integers(), st.integers()),
    st.integers(1, 500).map(lambda count: b"bytes=" + b",".join([b"0-0"] * count)),
    st.sampled_from([b"bytes=", b"bytes=-", b"bytes=--1", b"bytes", b"lines=1-2", b"bytes=1-,2-"]),
    st.integers(1, 400).map(lambda digits: b"bytes=" + b"9" * digits + b"-"),
    line_bytes,
)
lengths = st.one_of(
    st.integers(-5, 5).map(lambda length: b"%d" % length),
    st.sampled_from(
        [b"9" * 30, b"0x10", b"+1", b"1, 1", b"1, 2", b"", b"1e3", b"\xb9", b"18446744073709551616"]
    ),
    line_bytes,
)
codings = st.sampled_from(
    [
        b"chunked, chunked",
        b"gzip, chunked",
        b"identity",
        b"xchunked",
        b"chunked\x0b",
        b"",
        b"CHUNKED",
    ]
)
chunks = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            *(b"0\r\n\r\n", b"-1\r\n\r\n", b"FFFFFFFFFFFFFFFFFF\r\n", b"1;a=b\r\nx\r\n0\r\n\r\n"),
            *(b"5\r\nabc", b"1\r\nxyz\r\n0\r\n\r\n", b"0\r\nTrailer: a\r\n\r\n"),
            *(b"\r\n\r\n", b"0x1\r\n"),
        ]
    ),
)


def _unwhole(sent: Request) -> Request:
    """A body may be awaited that never comes: the connection is broken off."""
    return Request(sent.data, is_whole=False)


targets = st.sampled_from(TARGETS)
with_odd_headers = st.builds(
    lambda method, target, headers: request(method, target, headers),
    st.sampled_from([b"GET", b"GET", b"DELETE", b"POST", b"HEAD", b"OPTIONS"]),
    targets,
    st.lists(st.tuples(names, odd_values), min_size=1, max_size=6),
)
with_many_headers = st.builds(
    lambda target, count, value: request(
        b"GET", target, [(b"A-%d" % number, value) for number in range(count)]
    ),
    targets,
    st.integers(50, 300),
    line_bytes,
)
with_odd_conditions = st.builds(
    lambda target, name, value: request(b"GET", target, [(name, value)]),
    st.sampled_from([FILE, FILE, EVENTS]),
    st.sampled_from([b"Range", b"Range", b"If-None-Match", b"If-Range", b"Last-Event-ID"]),
    ranges | odd_values,
)
with_odd_keys = st.builds(
    lambda target, value, body: request(b"POST", target, [JSON, (b"Idempotency-Key", value)], body),
    st.sampled_from([CREATE, FORM]),
    odd_values,
    st.sampled_from([b"{}", b'{"prompt":"p"}', b"a=b"]),
)
with_odd_framing = st.builds(
    lambda target, framing, body: _unwhole(
        request(b"POST", target, [JSON, *framing], body, length=False)
    ),
    st.sampled_from([CREATE, FORM, b"/v1/service/health"]),
    st.lists(
        st.tuples(st.just(b"Content-Length"), lengths)
        | st.tuples(st.just(b"Transfer-Encoding"), codings | st.just(b"chunked")),
        min_size=1,
        max_size=3,
    ),
    chunks,
)
raw_heads = st.one_of(
    st.binary(min_size=1, max_size=100),
    st.builds(
        lambda line, rest: line + b"\r\n" + rest + b"\r\n\r\n",
        st.sampled_from(
            [
                *(b"GET / HTTP/1.0", b"GET / HTTP/0.9", b"GET / HTTP/9.9"),
                *(b"GET / http/1.1", b"GET /"),
                *(b"GET  /  HTTP/1.1", b"GET\t/\tHTTP/1.1", b" GET / HTTP/1.1", b"HTTP/1.1 200 OK"),
                *(b"GET / HTTP/1.1\nHost: g", b"\r\n\r\nGET / HTTP/1.1", b"GET http:// HTTP/1.1"),
            ]
        ),
        st.sampled_from(
            [b"Host: g", b"Host: g\r\nHost: h", b"Host : g", b" Host: g", b"Host", b""]
        ),
    ),
).map(lambda data: Request(data, is_whole=False))

segments = st.one_of(
    st.sampled_from(
        [
            *(b"v1", b"tasks", b"files", b"download", b"service", b"film", b"film.mp4", b"status"),
            *(b"events", b"queue", b"create", b"form", b"..", b".", b"", b"%2e%2e"),
            *(b"..%2f..", b"%00"),
            *(b"%c0%af", b"%ff", b"%zz", b"%", b"%25%32%66", b"..%5c..", b"\\..\\"),
            *(b"outputs", b"local:"),
            *(b"tasks.db", b"%2F", b"%252e%252e", b"uploads", b"inputs", b":"),
            *(b"film:cancel", b"*", b"**"),
            *("データ".encode(), b"~root", b"%E3%83%87", b";a=b", b"a" * 300, b"tasks.db-wal"),
            b"{task_id}",
        ]
    ),
    line_bytes,
    st.binary(max_size=12).map(lambda text: quote(text).encode()),
    st.text(max_size=8).map(lambda text: quote(text, safe="").encode()),
    st.text(max_size=8).map(str.encode).map(_unbroken),
)
queries = st.one_of(
    st.just(b""),
    st.builds(
        lambda name, value: b"?" + name + b"=" + value,
        st.sampled_from(
            [
                *(b"page_size", b"page_token", b"status", b"task", b"after_sequence", b"previews"),
                *(b"task_id", b"body.data", b"body.content_type", b"file_path", b"a.b.c"),
                *(b"after", b"limit", b"order", b"variant", b"video_id", b"model"),
                *(b"", b"body"),
            ]
        ),
        st.one_of(
            st.integers().map(lambda number: b"%d" % number),
            st.sampled_from(
                [b"", b"%", b"%00", b"%ff", b"NaN", b"true", b"1e99", b"a" * 9000, b"&&&="]
            ),
            line_bytes,
            st.binary(max_size=20).map(lambda text: quote(text).encode()),
        ),
    ),
    line_bytes.map(lambda text: b"?" + text),
    st.integers(1, 3000).map(lambda count: b"?" + b"status=pending&" * count),
)
prefixes = st.sampled_from(
    [
        *(b"/v1/files/download", b"/v1/files/download", b"/v1/tasks", b"/v1/service", b"/v1", b""),
        *(b"/v1/videos", b"/v1/images", b"/v1/models", b"/videos", b"/outputs"),
        *(b"/docs/assets", b"//v1", b"http://g/v1/tasks", b"/telefuser.rest.v1.RestTaskService"),
    ]
)
odd_paths = st.builds(
    lambda prefix, some, query: prefix + b"/" + b"/".join(some) + query,
    prefixes,
    st.lists(segments, max_size=5),
    queries,
)
path_requests = st.one_of(
    st.builds(request, st.sampled_from([b"GET", b"GET", b"HEAD", *METHODS]), odd_paths),
    st.builds(
        lambda method, target, query: request(method, target + query),
        st.sampled_from(METHODS),
        targets,
        queries,
    ),
    st.integers(1, 70_000).map(lambda length: request(b"GET", b"/" + b"a" * length)),
)
head_requests = st.one_of(
    with_odd_headers,
    with_odd_headers,
    with_many_headers,
    with_odd_conditions,
    with_odd_keys,
    with_odd_framing,
    raw_heads,
)
