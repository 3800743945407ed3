"""The forms that the text of a setting may have."""

import pytest

from tests.config.reading import Place


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('["https://a", "https://b"]', ("https://a", "https://b")),
        ("https://a,https://b", ("https://a", "https://b")),
        (" https://a , https://b , ", ("https://a", "https://b")),
        ("*", ("*",)),
        ("[]", ()),
    ],
)
def test_list_is_json_or_has_commas(written: str, read: tuple[str, ...], place: Place) -> None:
    place.environment["TELEFUSER_CORS_ORIGINS"] = written

    assert place.value("cors_origins") == read


def test_broken_json_list_is_refused_with_an_example(place: Place) -> None:
    place.environment["TELEFUSER_CORS_ORIGINS"] = '["https://a"'

    assert place.refusal() == (
        'TELEFUSER_CORS_ORIGINS: must be a JSON list, as ["a", "b"], or words with commas'
    )


def test_json_list_of_something_else_is_refused(place: Place) -> None:
    place.environment["TELEFUSER_CORS_ORIGINS"] = "[1]"

    assert place.refusal() == "TELEFUSER_CORS_ORIGINS: must be a valid string"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("100 MB", 100_000_000),
        ("1.5kB", 1500),
        ("64 MiB", 64 * 2**20),
        ("1 GB", 10**9),
        ("512", 512),
        ("0", 0),
    ],
)
def test_size_has_a_unit_or_counts_bytes(written: str, read: int, place: Place) -> None:
    place.environment["TELEFUSER_LOG_ROTATION"] = written

    assert place.value("log_rotation") == read


@pytest.mark.parametrize(
    ("written", "read"),
    [("30 days", 2592000), ("1 week", 604800), ("12 hours", 43200), ("90", 90), ("5 Minutes", 300)],
)
def test_duration_has_a_unit_or_counts_seconds(written: str, read: int, place: Place) -> None:
    place.environment["TELEFUSER_LOG_RETENTION"] = written

    assert place.value("log_retention") == read


@pytest.mark.parametrize(
    ("name", "written", "refusal"),
    [
        ("LOG_ROTATION", "daily", "must be a size, as 100 MB, 64 MiB or a number of bytes"),
        ("LOG_ROTATION", "5 parsecs", "must be a size, as 100 MB, 64 MiB or a number of bytes"),
        (
            "LOG_RETENTION",
            "10 files",
            "must be a duration, as 30 days, 12 hours or a number of seconds",
        ),
        (
            "PUBLIC_BASE_URL",
            "video.example.com",
            "must be an address, as https://video.example.com",
        ),
        ("PORT", "eight", "must be a whole number"),
        ("PORT", "80.5", "must be a whole number"),
        ("TASK_TIMEOUT", "an hour", "must be a number"),
        ("ALLOW_UNSAFE", "perhaps", "must be true or false"),
        ("LOG_LEVEL", "loud", "must be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        ("SECURITY_LEVEL", "high", "must be 'NONE', 'BASIC', 'STRICT' or 'SANDBOX'"),
        ("LOG_SINK", "stdout", "must be 'console', 'file', 'syslog' or 'both'"),
        ("MAX_QUEUE_SIZE", "ten", "must be a whole number"),
        ("NO_CAPACITY", "hope", "must be 'fail' or 'wait'"),
        ("ERROR_FORMAT", "xml", "must be 'documented' or 'upstream'"),
        ("CONTRACT_ENFORCEMENT", "lax", "must be 'strict' or 'relaxed'"),
        ("GPU_PLATFORM", "abacus", "must be 'auto', 'nvidia' or 'amd'"),
        ("ARTIFACT_PERSISTENCE_MODE", "ever", "must be 'persistent' or 'ephemeral'"),
    ],
)
def test_refusal_names_the_variable_and_what_it_may_be(
    name: str, written: str, refusal: str, place: Place
) -> None:
    place.environment[f"TELEFUSER_{name}"] = written

    assert place.refusal() == f"TELEFUSER_{name}: {refusal}"


def test_all_wrong_settings_are_told_at_once(place: Place) -> None:
    place.environment |= {"TELEFUSER_PORT": "eight", "TELEFUSER_ALLOW_UNSAFE": "perhaps"}

    refusal = place.refusal()

    assert "TELEFUSER_PORT: " in refusal
    assert "TELEFUSER_ALLOW_UNSAFE: " in refusal


def test_refusal_does_not_repeat_what_was_written(place: Place) -> None:
    place.environment["TELEFUSER_PORT"] = "hunter2"

    assert "hunter2" not in place.refusal()


@pytest.mark.parametrize(("written", "read"), [("warn", "WARNING"), ("Fatal", "CRITICAL")])
def test_log_level_has_its_other_words(written: str, read: str, place: Place) -> None:
    place.environment["TELEFUSER_LOG_LEVEL"] = written

    assert place.value("log_level") == read


def test_unknown_syslog_facility_is_refused(place: Place) -> None:
    place.environment["TELEFUSER_LOG_SYSLOG_FACILITY"] = "video"

    assert place.refusal().startswith("TELEFUSER_LOG_SYSLOG_FACILITY: must be one of auth, ")
