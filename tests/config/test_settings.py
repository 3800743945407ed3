"""Every setting: its name, its default, the form of its text and its range."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from telefuser_grpc.config import PREFIX, Settings
from tests.config.reading import Place

KEY = "sk-0123456789abcdef"
DOCUMENTED = {  # name, what is written, what is read, what holds without it
    "SECURITY_LEVEL": ("basic", "BASIC", "STRICT"),
    "ALLOW_UNSAFE": ("true", True, False),
    "MAX_PPL_SIZE": ("2048", 2048, 10485760),
    "TASK_TIMEOUT": ("1200", 1200, 3600),
    "HOST": ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
    "PORT": ("8080", 8080, 8000),
    "RATE_LIMIT_ENABLED": ("false", False, True),
    "RATE_LIMIT_RPM": ("100", 100, 60),
    "MAX_QUEUE_SIZE": ("32", 32, 10),
    "RATE_LIMIT_BURST": ("0", 0, 10),
    "RATE_LIMIT_WINDOW_SIZE": ("120", 120, 60),
    "TRUST_FORWARDED_FOR": ("1", True, False),
    "MAX_CONCURRENT_TASKS": ("4", 4, 10),
    "CLEANUP_KEEP_COUNT": ("500", 500, 1000),
    "CANCEL_TIMEOUT": ("2.5", 2.5, 5.0),
    "CACHE_DIR": ("/data", Path("/data"), Path("work_dirs/server_cache")),
    "ARTIFACT_STORAGE_BACKEND": ("LOCAL", "local", "local"),
    "ARTIFACT_PERSISTENCE_MODE": ("ephemeral", "ephemeral", "persistent"),
    "ARTIFACT_RETENTION_SECONDS": ("0", 0, 604800),
    "ARTIFACT_TMP_RETENTION_SECONDS": ("60", 60, 3600),
    "ARTIFACT_CLEANUP_INTERVAL_SECONDS": ("60", 60, 3600),
    "ARTIFACT_MAX_TOTAL_BYTES": ("1000000", 1000000, 0),
    "ARTIFACT_MAX_TASK_BYTES": ("1000", 1000, 0),
    "ARTIFACT_PRESERVE_FAILED_OUTPUTS": ("yes", True, False),
    "STRICT_VALIDATION": ("off", False, True),
    "VERIFY_SSL": ("no", False, True),
    "SSL_CERT_PATH": (__file__, Path(__file__), None),
    "URL_ALLOW_PRIVATE": ("true", True, False),
    "ALLOWED_MEDIA_ROOTS": ("/a,/b", (Path("/a"), Path("/b")), ()),
    "MAX_FILE_SIZE": ("1048576", 1048576, 104857600),
    "LOG_LEVEL": ("debug", "DEBUG", "INFO"),
    "LOG_FORMAT": ("json", "json", "console"),
    "LOG_SINK": ("syslog", "syslog", "console"),
    "LOG_FILE": ("service.log", Path("service.log"), None),
    "LOG_ROTATION": ("10 MB", 10_000_000, 100_000_000),
    "LOG_RETENTION": ("12 hours", 43200, 2592000),
    "LOG_SYSLOG_HOST": ("logs", "logs", "localhost"),
    "LOG_SYSLOG_PORT": ("1514", 1514, 514),
    "LOG_SYSLOG_FACILITY": ("LOCAL0", "local0", "user"),
    "ENABLE_ACCESS_LOG": ("false", False, True),
    "ENABLE_METRICS": ("false", False, True),
    "ENABLE_STAGE_METRICS": ("false", False, True),
    "ENABLE_GPU_METRICS": ("false", False, True),
    "GPU_METRICS_INTERVAL": ("1", 1.0, 5.0),
    "GPU_PLATFORM": ("nvidia", "nvidia", "auto"),
    "NUM_REPLICAS": ("2", 2, 1),
    "ENABLE_OPENAI_API": ("false", False, True),
    "WEBRTC_MAX_SESSIONS": ("2", 2, 10),
    "WEBRTC_VIDEO_CODEC": ("vp8", "VP8", "H264"),
    "WEBRTC_VIDEO_BITRATE": ("2000000", 2_000_000, 8_000_000),
    "WEBRTC_VIDEO_BUFFER_SECONDS": ("0.5", 0.5, 1.0),
    "WEBRTC_DATA_CHANNEL_TIMEOUT_SECONDS": ("3", 3.0, 10.0),
    "WEBRTC_DISCONNECTED_GRACE_SECONDS": ("0", 0.0, 5.0),
    "STUN_SERVERS": ("[]", (), ("stun:stun.l.google.com:19302",)),
    "TURN_SERVER": ("turn:relay:3478", "turn:relay:3478", None),
    "TURN_USERNAME": ("me", "me", None),
    "TURN_CREDENTIAL": ("secret", SecretStr("secret"), None),
}
OURS = {
    "PIPE_PATH": ("p.py", Path("p.py"), None),
    "TASK": ("T2V", "t2v", None),
    "PARALLELISM": ("4", 4, None),
    "START_TIMEOUT": ("10", 10.0, 300.0),
    "REPLICA_TIMEOUT": ("0", 0.0, 60.0),
    "MAX_TASKS_PER_REPLICA": ("100", 100, 0),
    "REPLICA_MAX_RSS_BYTES": ("1000", 1000, 0),
    "UI_PORT": ("7860", 7860, None),
    "WARMUP": ("true", True, False),
    "PREVIEW_INTERVAL": ("0", 0.0, 1.0),
    "GATEWAY": ("false", False, True),
    "API_KEYS": (f"a:{KEY}, {KEY}2", SecretStr(f"a:{KEY},{KEY}2"), None),
    "API_KEYS_FILE": (__file__, Path(__file__), None),
    "TRUST_GATEWAY": ("true", True, False),
    "PUBLIC_BASE_URL": ("https://v.example.com/", "https://v.example.com", None),
    "CORS_ORIGINS": ('["https://a", "https://b"]', ("https://a", "https://b"), ()),
    "ERROR_FORMAT": ("upstream", "upstream", "documented"),
    "MAX_INLINE_SIZE": ("1048576", 1048576, 33554432),
    "ARTIFACT_RESERVE_BYTES": ("1000", 1000, 0),
    "STALL_TIMEOUT": ("9", 9.0, 60.0),
    "DRAIN_SECONDS": ("0", 0.0, 5.0),
    "MAX_ATTEMPTS": ("1", 1, 2),
    "NO_CAPACITY": ("wait", "wait", "fail"),
    "CONTRACT_ENFORCEMENT": ("relaxed", "relaxed", "strict"),
    "MODEL": ("org/name", "org/name", ""),
    "MODELS_FOLDER": ("/models", Path("/models"), None),
    "DTYPE": ("BFLOAT16", "bfloat16", "auto"),
    "OFFLOAD": ("model", "model", "none"),
    "VAE_TILING": ("true", True, False),
    "QUANTIZATION": ("int8", "int8", "none"),
    "ATTENTION": ("flash", "flash", ""),
    "COMPILE": ("true", True, False),
    "MAX_BATCH_SIZE": ("1", 1, 0),
    "STEP_CACHE": ("first_block", "first_block", "none"),
    "PARALLEL": ("context", "context", "spread"),
    "LORAS": ("a.safetensors:0.8, org/b", ("a.safetensors:0.8", "org/b"), ()),
    "OTLP_ENDPOINT": ("c:4317", "c:4317", None),
    "SERVICE_NAME": ("video", "video", "telefuser"),
}
ALL = DOCUMENTED | OURS
FIELDS = {"ENABLE_ACCESS_LOG": "access_log"}


def field(name: str) -> str:
    return FIELDS.get(name, name.lower())


@pytest.mark.parametrize("name", ALL)
def test_variable_sets_its_field(name: str, place: Place) -> None:
    written, read, _ = ALL[name]
    place.environment[PREFIX + name] = written

    loaded = place.load()

    assert getattr(loaded.settings, field(name)) == read
    assert loaded.origins[field(name)] == PREFIX + name


@pytest.mark.parametrize("name", ALL)
def test_default_holds_without_the_variable(name: str, place: Place) -> None:
    _, _, default = ALL[name]

    loaded = place.load()

    assert getattr(loaded.settings, field(name)) == default
    assert loaded.origins[field(name)] == "default"


def test_every_setting_is_tested_and_described() -> None:
    assert {field(name) for name in ALL} == set(Settings.model_fields)
    assert all(each.description for each in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("PORT", 0, 65535),
        ("MAX_PPL_SIZE", 1024, 10485760),
        ("MAX_FILE_SIZE", 1024, 1073741824),
        ("RATE_LIMIT_RPM", 10, 10000),
        ("RATE_LIMIT_WINDOW_SIZE", 10, 3600),
        ("RATE_LIMIT_BURST", 0, 10000),
        ("MAX_QUEUE_SIZE", 1, 100000),
        ("CANCEL_TIMEOUT", 0, 30),
        ("NUM_REPLICAS", 1, 16),
        ("CLEANUP_KEEP_COUNT", 100, 10000),
        ("GPU_METRICS_INTERVAL", 1, 60),
        ("LOG_SYSLOG_PORT", 1, 65535),
        ("WEBRTC_MAX_SESSIONS", 1, 100),
        ("WEBRTC_VIDEO_BITRATE", 500_000, 50_000_000),
        ("WEBRTC_DISCONNECTED_GRACE_SECONDS", 0, 120),
    ],
)
def test_range_is_closed_at_both_ends(name: str, least: int, most: int, place: Place) -> None:
    for inside in (least, most):
        place.environment[PREFIX + name] = str(inside)
        assert place.value(field(name)) == inside

    for outside, bound in ((least - 1, least), (most + 1, most)):
        place.environment[PREFIX + name] = str(outside)
        assert place.refusal().startswith(f"{PREFIX}{name}: must be ")
        assert place.refusal().endswith(f" {bound}")


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("ARTIFACT_CLEANUP_INTERVAL_SECONDS", 60),
        ("ARTIFACT_RETENTION_SECONDS", 0),
        ("ARTIFACT_MAX_TOTAL_BYTES", 0),
        ("PARALLELISM", 1),
        ("MAX_ATTEMPTS", 1),
        ("DRAIN_SECONDS", 0),
    ],
)
def test_value_below_the_least_is_refused(name: str, least: int, place: Place) -> None:
    place.environment[PREFIX + name] = str(least - 1)

    assert place.refusal() == f"{PREFIX}{name}: must be greater than or equal to {least}"


@pytest.mark.parametrize("name", ["TASK_TIMEOUT", "STALL_TIMEOUT", "START_TIMEOUT"])
def test_a_time_limit_of_zero_is_refused(name: str, place: Place) -> None:
    place.environment[PREFIX + name] = "0"

    assert place.refusal() == f"{PREFIX}{name}: must be greater than 0"


@pytest.mark.parametrize("level", ["none", "Basic", "STRICT", "sandbox"])
def test_security_level_has_any_case_and_reads_upper(level: str, place: Place) -> None:
    place.environment["TELEFUSER_SECURITY_LEVEL"] = level

    assert place.value("security_level") == level.upper()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("detailed", "console"),
        ("simple", "console"),
        ("console", "console"),
        ("structured", "json"),
        ("JSON", "json"),
    ],
)
def test_log_format_has_the_documented_words_too(written: str, read: str, place: Place) -> None:
    place.environment["TELEFUSER_LOG_FORMAT"] = written

    assert place.value("log_format") == read


def test_s3_backend_is_refused_with_the_remedy(place: Place) -> None:
    place.environment["TELEFUSER_ARTIFACT_STORAGE_BACKEND"] = "s3"

    assert place.refusal() == (
        "TELEFUSER_ARTIFACT_STORAGE_BACKEND: 's3' is not available;"
        " files are kept on a local disk: use 'local'"
    )


@pytest.mark.parametrize("sink", ["file", "both"])
def test_log_file_must_be_named_for_a_sink_that_writes_one(sink: str, place: Place) -> None:
    place.environment["TELEFUSER_LOG_SINK"] = sink

    assert place.refusal() == f"TELEFUSER_LOG_SINK={sink} needs TELEFUSER_LOG_FILE"


@pytest.mark.parametrize(
    ("written", "refusal"),
    [
        (" , ", "has no key; write name:key, or leave it out"),
        (f"studio:{KEY},lab:", "entry 2 has no key of 1 to 512 visible ASCII characters; make one"),
        (f"studio:{KEY},lab:{KEY}", "studio and lab have the same key; give each its own"),
        (f"two words:{KEY}", "entry 1 must be name: key, and the name of letters, digits"),
    ],
)
def test_keys_that_are_written_wrongly_are_refused_and_not_shown(
    written: str, refusal: str, place: Place
) -> None:
    place.environment["TELEFUSER_API_KEYS"] = written

    assert place.refusal().startswith(f"TELEFUSER_API_KEYS: {refusal}")
    assert KEY not in place.refusal()


def test_keys_may_be_a_json_list(place: Place) -> None:
    place.environment["TELEFUSER_API_KEYS"] = f'["a:{KEY}", "{KEY}2"]'

    assert place.value("api_keys") == SecretStr(f"a:{KEY},{KEY}2")


def test_file_of_keys_that_does_not_exist_is_refused(place: Place) -> None:
    place.environment["TELEFUSER_API_KEYS_FILE"] = "/no/such/keys"

    assert place.refusal() == "TELEFUSER_API_KEYS_FILE: must name a file that exists"


def test_trust_in_a_gateway_beside_ones_own_is_pointed_out(place: Place) -> None:
    place.environment["TELEFUSER_TRUST_GATEWAY"] = "true"

    (warning,) = place.load().warnings
    silent = place.load(gateway=False).warnings

    assert warning.endswith("has no effect beside the service's own; set TELEFUSER_GATEWAY=false")
    assert silent == ()


def test_certificates_that_do_not_exist_are_refused(place: Place) -> None:
    place.environment["TELEFUSER_SSL_CERT_PATH"] = "/no/such/ca.pem"

    assert place.refusal() == "TELEFUSER_SSL_CERT_PATH: must name a file that exists"


def test_devices_default_to_one_per_replica(place: Place) -> None:
    assert place.load(num_replicas=3).settings.device_count == 3
    assert place.load(num_replicas=2, parallelism=4).settings.device_count == 4


def test_settings_cannot_be_changed(place: Place) -> None:
    settings = place.load().settings

    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
