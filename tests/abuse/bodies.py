"""Bodies that are nearly, or not at all, what the service takes."""

import base64
import json
from typing import Any

from hypothesis import strategies as st

from tests.abuse.exact_pipeline import TICKET
from tests.abuse.wire import JSON, Request, request
from tests.fakes.media_files import mp4, still, truncated, wav

CREATE, FORM = b"/v1/tasks/create", b"/v1/tasks/form"
URLENCODED = b"application/x-www-form-urlencoded"
FIELDS = [
    *("task", "prompt", "negative_prompt", "aspect_ratio", "resolution", "seed", "task_id"),
    *("first_image_path", "last_image_path", "ref_video_path", "audio_path", "output_path"),
    *("target_video_length", "output_format", "ticket", "latent_data", "__proto__", ""),
]
FILE_FIELDS = ["first_image_file", "last_image_file", "ref_video_file", "audio_file"]
PICTURE, FILM, SOUND = still(), mp4(), wav()

texts = st.text(max_size=30)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([2**31, -(2**63) - 1, 2**64, 10**299, 10**400, 1e308]),
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(FIELDS) | texts, values, max_size=6)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()  # NaN and infinities are written as Python does


def _spliced(body: bytes, at: int, junk: bytes) -> bytes:
    return body[: at % (len(body) + 1)] + junk + body[at % (len(body) + 1) :]


def _cut(body: bytes, at: int) -> bytes:
    return body[: at % (len(body) + 1)]


def _nested(opening: bytes, depth: int, end: bytes) -> bytes:
    return b'{"prompt":' + opening * depth + end


written_numbers = st.one_of(
    st.sampled_from(
        [b"NaN", b"-Infinity", b"1e999999", b"-0", b"01", b"+1", b"0x1", b".5", b"1_0"]
    ),
    st.integers(1, 6000).map(lambda digits: b"9" * digits),
)
written_texts = st.sampled_from(
    [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b'"\n"', b"'a'"]
)
pairs = st.lists(
    st.builds(
        lambda name, value: json.dumps(name).encode() + b":" + value,
        st.sampled_from(FIELDS),
        written_numbers | written_texts | values.map(_dumped),
    ),
    max_size=8,  # names may come twice
)
positions = st.integers(0, 400)
encodings = st.sampled_from(["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7", "latin-1"])

# Never a picture, a film or a sound that is whole: with the ticket, that would be a task.
sources = st.one_of(
    texts,
    values,
    st.binary(max_size=80).map(lambda data: base64.b64encode(data).decode()),
    st.sampled_from([PICTURE, FILM, SOUND]).map(
        lambda data: f"data:image/png;base64,{base64.b64encode(truncated(data)).decode()}"
    ),
    st.sampled_from(["", "image/png", "image/svg+xml;utf8", "text/html", "image/png;base64"]).map(
        lambda kind: f"data:{kind},%89PNG"
    ),
    st.sampled_from(
        [
            *("http://127.0.0.1/a.png", "http://[::1]:9/", "http://169.254.169.254/latest"),
            "http://",
            *("http://0x7f.1/", "http://a:b@127.0.0.1/", "https://localhost:99999/", "ftp://a/b"),
            *("/etc/passwd", "../../tasks.db", "file:///etc/passwd", "\\\\host\\share"),
            "/dev/zero",
            *("upload:", "upload:../..", f"upload:upload_{'a' * 26}", "C:\\a.png", "\x00"),
        ]
    ),
)
admissible_but_for_media = st.builds(
    lambda given, source: {
        **given,
        "task": "i2v",
        "prompt": "p",
        "ticket": TICKET,
        "first_image_path": source,
    },
    st.dictionaries(st.sampled_from(["last_image_path", "ref_video_path", "audio_path"]), sources),
    sources,
)

json_bodies = st.one_of(
    st.binary(max_size=200),
    values.map(_dumped),
    objects.map(_dumped),
    admissible_but_for_media.map(_dumped),
    st.builds(_cut, objects.map(_dumped), positions),
    st.builds(_spliced, objects.map(_dumped), positions, st.binary(min_size=1, max_size=4)),
    pairs.map(lambda each: b"{" + b",".join(each) + b"}"),
    st.builds(
        _nested,
        st.sampled_from([b"[", b'{"a":', b'[{"":', b"-", b'"', b" "]),
        st.integers(1, 20_000),
        st.sampled_from([b"", b"1", b"]}"]),
    ),
    st.builds(lambda each, name: json.dumps(each).encode(name), objects, encodings),
    st.integers(1, 3000).map(lambda count: _dumped({str(n): "n" * 30 for n in range(count)})),
)
content_types = st.sampled_from(
    [
        *(b"application/json", b"application/json; charset=utf-16", b"text/plain", b"", b"*/*"),
        *(b"application/grpc-web+proto", b"application/x-protobuf", b"json"),
        b"multipart/form-data",
        *(URLENCODED, b"application/json, application/json", b"\xff/\xfe", b";;;=", b"a" * 5000),
    ]
)
usual_types = st.just(JSON[1])


def _part(head: bytes, content: bytes) -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def _disposition(name: str, filename: str | None) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    return (head if filename is None else f'{head}; filename="{filename}"').encode()


part_heads = st.one_of(
    st.builds(_disposition, st.sampled_from(FIELDS + FILE_FIELDS), st.none() | texts),
    st.builds(
        _disposition,
        st.sampled_from(FILE_FIELDS),
        st.sampled_from(["a.png", "a.mp4", "../../a", "/etc/passwd", "a\\b", "x" * 3000, "\x00"]),
    ),
    st.builds(
        lambda head, more: head + b"\r\n" + more,
        st.builds(_disposition, st.sampled_from(FIELDS + FILE_FIELDS), st.just("a.png")),
        st.sampled_from(
            [
                *(b"Content-Type: text/html; charset=utf-99", b"Content-Transfer-Encoding: base64"),
                *(b"Content-Type: multipart/mixed; boundary=c", b"Content-Type", b": a"),
                b"\xff: a",
                *(b"A: " + b"a" * 5000, b"\r\n".join([b"A: a"] * 20), b" folded", b"Content-Type:"),
            ]
        ),
    ),
    st.sampled_from(
        [
            *(b"", b"Content-Disposition: form-data", b"Content-Disposition: attachment; name=a"),
            *(
                b'Content-Disposition: form-data; name="a',
                b"Content-Disposition: form-data; name=\xff",
            ),
            b"Content-Disposition: form-data; name*=utf-8''%ff",
            b"content-disposition:form-data",
        ]
    ),
    st.binary(max_size=60),
)
part_contents = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"", b"--b", b"\r\n--c\r\n\r\n--c--", b"{", b"a" * 40_000]),
    st.sampled_from([PICTURE, FILM, SOUND]),
    st.sampled_from([PICTURE, FILM, SOUND]).map(truncated),
)
parts = st.lists(st.builds(_part, part_heads, part_contents), max_size=6).map(b"".join)
endings = st.sampled_from([b"--b--\r\n", b"--b--", b"", b"--b\r\n", b"--b", b"--c--\r\n", b"\r\n"])
whole_forms = st.builds(lambda some, end: some + end, parts, endings)
multipart_bodies = st.one_of(
    whole_forms,
    st.builds(_cut, whole_forms, positions),
    st.builds(_spliced, whole_forms, positions, st.binary(min_size=1, max_size=4)),
    st.binary(max_size=300),
    st.integers(1, 5000).map(
        lambda n: _part(_disposition("prompt", None), b"p") * n + b"--b--\r\n"
    ),
    st.integers(1, 300).map(lambda n: _part(_disposition("audio_file", "a"), b"p") * n + b"--b--"),
    st.integers(1, 60_000).map(lambda n: b"-" * n),
    st.integers(1, 60_000).map(lambda n: b"\r\n" * n + b"--b--\r\n"),
)
multipart_types = st.one_of(
    st.just(b"multipart/form-data; boundary=b"),
    st.sampled_from(
        [
            *(b"multipart/form-data", b"multipart/form-data; boundary="),
            b"multipart/mixed; boundary=b",
            *(b'multipart/form-data; boundary="b', b"multipart/form-data; boundary=" + b"b" * 300),
            b"multipart/form-data; boundary=b; boundary=c",
            b"multipart/form-data; boundary*=u''%62",
            *(
                b"multipart/form-data; boundary=\xff",
                b'multipart/form-data; boundary="\\"',
                b"multipart",
            ),
            *(b"MULTIPART/FORM-DATA; BOUNDARY=b", b"multipart/form-data boundary=b"),
            b"multipart/;;",
        ]
    ),
)
urlencoded_bodies = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(FIELDS + FILE_FIELDS), max_size=6).map(
        lambda names: "&".join(f"{name}=%zz" for name in names).encode()
    ),
    st.dictionaries(st.sampled_from(FIELDS), texts).map(
        lambda fields: "&".join(f"{name}={value}" for name, value in fields.items()).encode()
    ),
    st.integers(1, 5000).map(lambda count: b"a=1&" * count),
    st.integers(1, 5000).map(lambda count: b"&=" * count + b"%" * count),
    st.integers(1, 60_000).map(lambda count: b"a" * count),
    json_bodies,
)


def _chunked(body: bytes, sizes: list[int]) -> bytes:
    chunks = []
    for size in sizes:
        chunks.append(b"%x\r\n%s\r\n" % (len(body[:size]), body[:size]))
        body = body[size:]
    return b"".join(each for each in chunks if not each.startswith(b"0")) + b"0\r\n\r\n"


def _posted(target: bytes, content_type: bytes, body: bytes) -> Request:
    return request(b"POST", target, [(b"Content-Type", content_type)], body)


def _posted_in_chunks(content_type: bytes, body: bytes, sizes: list[int]) -> Request:
    headers = [(b"Content-Type", content_type), (b"Transfer-Encoding", b"chunked")]
    return request(b"POST", FORM, headers, _chunked(body, sizes), length=False)


def _broken_off(sent: Request, at: int) -> Request:
    return Request(sent.data[: -1 - at % len(sent.data)], is_whole=False)


MANY_MEDIA = _posted(
    FORM,
    b"multipart/form-data; boundary=b",
    b"".join(
        _part(_disposition(field, "a"), content)
        for field, content in zip(FILE_FIELDS, [PICTURE, PICTURE, FILM, SOUND], strict=True)
    )
    + b"--b--",
)
json_requests = st.builds(
    _posted, st.just(CREATE), usual_types | usual_types | content_types, json_bodies
)
whole_form_requests = st.one_of(
    st.builds(_posted, st.just(FORM), multipart_types, multipart_bodies),
    st.builds(_posted, st.just(FORM), st.just(URLENCODED), urlencoded_bodies),
    st.builds(_posted, st.just(FORM), content_types, multipart_bodies | urlencoded_bodies),
    st.builds(
        _posted_in_chunks,
        multipart_types,
        multipart_bodies,
        st.lists(st.integers(1, 50), max_size=5),
    ),
)
form_requests = st.one_of(
    whole_form_requests, whole_form_requests, st.builds(_broken_off, whole_form_requests, positions)
)
