"""How API keys are written down, and what is kept of them."""

import hashlib

import pytest

from telefuser_grpc.domain.api_key import ApiKey, UnusableKeys, merged, read_lines, read_list

KEY, OTHER = "sk-0123456789abcdef", "sk-fedcba9876543210"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
UNNAMED = f"key-{DIGEST[:8]}"


def told(keys: tuple[ApiKey, ...]) -> list[tuple[str, str | None]]:
    return [(key.name, key.secret) for key in keys]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (f"studio:{KEY}", [("studio", KEY)]),
        (f" studio : {KEY} ,lab:{OTHER},", [("studio", KEY), ("lab", OTHER)]),
        (KEY, [(UNNAMED, KEY)]),
        (f"a.b_c-d@e:{KEY}", [("a.b_c-d@e", KEY)]),
        ("studio:with:colons:and#more", [("studio", "with:colons:and#more")]),
        (f"studio:sha256:{DIGEST}", [("studio", None)]),
        (f"studio:sha256:{DIGEST.upper()}", [("studio", None)]),
        (f"sha256:{DIGEST}", [(UNNAMED, None)]),
        (f"studio:{KEY},studio:{OTHER}", [("studio", KEY), ("studio", OTHER)]),
        (f"studio:{KEY},studio:{KEY}", [("studio", KEY)]),
        ("", []),
    ],
)
def test_list_names_callers_and_their_keys(text: str, keys: list[tuple[str, str | None]]) -> None:
    assert told(read_list(text)) == keys


def test_lines_have_comments_and_blanks() -> None:
    text = f"# who may call\n\nstudio: {KEY}  # the studio's\n  lab:{OTHER}\r\nkey#with-a-sign\n"

    assert [name for name, _ in told(read_lines(text))][:2] == ["studio", "lab"]
    assert [secret for _, secret in told(read_lines(text))] == [KEY, OTHER, "key#with-a-sign"]


def test_digest_stands_for_its_key() -> None:
    (plain,), (hashed,) = read_list(f"studio:{KEY}"), read_list(f"studio:sha256:{DIGEST}")

    assert (plain.digest, plain.id) == (hashed.digest, hashed.id)
    assert plain.id == f"studio#{DIGEST[:16]}"


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("studio:", "entry 1 has no key of 1 to 512 visible ASCII characters; make one with:"),
        (f"ok:{KEY},studio:two words", "entry 2 has no key"),
        ("studio:schlüssel", "entry 1 has no key"),
        (f"studio:{'x' * 513}", "entry 1 has no key"),
        (f":{KEY}", "entry 1 must be name: key, and the name of letters"),
        (f"two words:{KEY}", "entry 1 must be name: key"),
        (f"studio#1:{KEY}", "entry 1 must be name: key"),
        (f"{'n' * 65}:{KEY}", "entry 1 must be name: key"),
        ("studio:sha256:12ab", "entry 1 must have 64 hexadecimal digits after sha256:"),
        (f"studio:{KEY},lab:{KEY}", "studio and lab have the same key; give each its own"),
    ],
)
def test_what_is_written_wrongly_is_refused_without_saying_the_key(text: str, refusal: str) -> None:
    with pytest.raises(UnusableKeys) as refused:
        read_list(text)

    assert str(refused.value).startswith(refusal)
    assert KEY not in str(refused.value)


def test_refusal_of_a_file_names_the_line() -> None:
    with pytest.raises(UnusableKeys, match=r"^line 3 has no key"):
        read_lines(f"# keys\nstudio: {KEY}\nlab:\n")


def test_same_key_of_two_callers_is_refused_across_sources() -> None:
    with pytest.raises(UnusableKeys, match="studio and lab have the same key"):
        merged(read_list(f"studio:{KEY}"), read_lines(f"lab: sha256:{DIGEST}"))


def test_secret_is_not_shown_by_chance() -> None:
    (key,) = read_list(f"studio:{KEY}")

    assert KEY not in repr(key)


def test_short_key_can_be_guessed_and_a_digest_cannot_tell() -> None:
    keys = read_list(f"a:{'x' * 15},b:{'x' * 16},c:sha256:{DIGEST}")

    assert [key.is_short for key in keys] == [True, False, False]
