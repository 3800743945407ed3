"""Every setting reaches the part that it is about."""

import json
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telefuser_grpc.app import keys, parts, stream_parts
from telefuser_grpc.config import Settings
from telefuser_grpc.workers.devices import PLATFORMS

HERE = Path(__file__)
BUILT_WITHOUT_DATACLASSES = (
    *("LocalReplicaPool", "LocalMediaInputs", "LocalUploads", "Downloads"),
    *("machine_gpus", "configure_logging"),
)
PARTS: dict[str, Callable[[Settings], Any]] = {
    "limits": parts.limits,
    "retention": parts.retention,
    "facts": lambda settings: parts.facts(settings, HERE),
    "pool": lambda settings: parts.pool(settings, HERE),
    "uploads": lambda settings: parts.uploads(settings, HERE),
    "inputs": lambda settings: parts.inputs(settings, HERE, parts.uploads(settings, HERE)),
    "images": parts.submitted_images,
    "gpus": parts.gpus,
    "gateway": lambda settings: parts.gateway_options(settings, upstream="", root=HERE, keys=()),
    "contract": parts.enforcement,
    "errors": parts.error_format,
    "file": parts.pipeline_file,
    "keys": keys.key_source,
    "webrtc": stream_parts.webrtc_options,
    "stream facts": lambda settings: stream_parts.stream_facts(settings, HERE),
}
READ_BY_THE_APP = {
    *("gateway", "public_base_url", "enable_openai_api", "trust_gateway"),
    *("enable_metrics", "enable_stage_metrics", "webrtc_max_sessions"),
}
READ_BEFORE_THE_START = {"allow_unsafe", "strict_validation", "max_ppl_size"}
OF_ONE_VALUE = {"artifact_storage_backend"}


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What parts were told that do not show it, by their names; none of them is really made."""
    told: dict[str, Any] = {}

    def stand_in(name: str) -> Callable[..., Any]:
        def make(*_: object, **named: object) -> Any:
            told[name] = SimpleNamespace(**named)
            return told[name]

        return make

    for name in BUILT_WITHOUT_DATACLASSES:
        monkeypatch.setattr(parts, name, stand_in(name))
    for platform in PLATFORMS:
        for variable in platform.variables:
            monkeypatch.delenv(variable, raising=False)
    return told


@pytest.mark.parametrize(
    ("setting", "value", "part", "where"),
    [
        ("max_queue_size", 7, "limits", "queue"),
        ("webrtc_video_codec", "VP8", "webrtc", "codec"),
        ("webrtc_video_bitrate", 600_000, "webrtc", "bitrate"),
        ("webrtc_video_buffer_seconds", 2.0, "webrtc", "buffer_seconds"),
        ("webrtc_data_channel_timeout_seconds", 3.0, "webrtc", "data_channel_timeout_seconds"),
        ("webrtc_disconnected_grace_seconds", 0.0, "webrtc", "disconnected_grace_seconds"),
        ("stun_servers", ("stun:a.example",), "webrtc", "stun_servers"),
        ("turn_server", "turn:a.example", "webrtc", "turn_server"),
        ("turn_username", "me", "webrtc", "turn_username"),
        ("webrtc_video_codec", "VP8", "stream facts", "video_codec"),
        ("webrtc_video_bitrate", 600_000, "stream facts", "video_bitrate"),
        ("parallelism", 2, "stream facts", "parallelism"),
        ("security_level", "BASIC", "stream facts", "security_level"),
        ("max_attempts", 3, "limits", "attempts"),
        ("task_timeout", 61.0, "limits", "task_seconds"),
        ("stall_timeout", 9.0, "limits", "stall_seconds"),
        ("cancel_timeout", 2.5, "limits", "cancel_seconds"),
        ("drain_seconds", 1.5, "limits", "drain_seconds"),
        ("no_capacity", "wait", "limits", "no_capacity"),
        ("contract_enforcement", "relaxed", "contract", "value"),
        ("error_format", "upstream", "errors", "value"),
        ("cleanup_keep_count", 500, "retention", "keep_count"),
        ("artifact_persistence_mode", "ephemeral", "retention", "persistence"),
        ("artifact_retention_seconds", 60, "retention", "retention_seconds"),
        ("artifact_tmp_retention_seconds", 61, "retention", "tmp_retention_seconds"),
        ("artifact_cleanup_interval_seconds", 62, "retention", "interval_seconds"),
        ("artifact_max_total_bytes", 1000, "retention", "max_total_bytes"),
        ("artifact_max_task_bytes", 100, "retention", "max_task_bytes"),
        ("artifact_preserve_failed_outputs", True, "retention", "preserve_failed_outputs"),
        ("artifact_reserve_bytes", 10, "retention", "reserve_bytes"),
        ("security_level", "BASIC", "facts", "security_level"),
        ("max_concurrent_tasks", 4, "facts", "configured_concurrency"),
        ("num_replicas", 3, "facts", "replicas"),
        ("task", "vc", "pool", "task"),
        ("num_replicas", 2, "pool", "replicas"),
        ("start_timeout", 10.0, "pool", "start_timeout_seconds"),
        ("replica_timeout", 11.0, "pool", "silence_seconds"),
        ("cancel_timeout", 2.5, "pool", "stop_grace_seconds"),
        ("max_tasks_per_replica", 12, "pool", "max_tasks_per_replica"),
        ("replica_max_rss_bytes", 13, "pool", "replica_max_rss_bytes"),
        ("warmup", True, "pool", "warmup"),
        ("preview_interval", 0.5, "pool", "preview_interval_seconds"),
        ("max_file_size", 2048, "uploads", "max_bytes"),
        ("max_file_size", 2048, "inputs", "max_bytes"),
        ("max_file_size", 2048, "inputs", "limits.max_bytes"),
        ("max_file_size", 2048, "inputs", "downloads.max_bytes"),
        ("max_inline_size", 1024, "inputs", "max_inline_bytes"),
        ("allowed_media_roots", (HERE,), "inputs", "allowed_roots"),
        ("url_allow_private", True, "inputs", "downloads.allow_private"),
        ("verify_ssl", False, "inputs", "downloads.verify_ssl"),
        ("ssl_cert_path", HERE, "inputs", "downloads.ssl_cert_path"),
        ("verify_ssl", False, "images", "verify_ssl"),
        ("ssl_cert_path", HERE, "images", "ssl_cert_path"),
        ("url_allow_private", True, "images", "allow_private"),
        ("gpu_metrics_interval", 3.0, "gpus", "max_age_seconds"),
        ("host", "0.0.0.0", "gateway", "host"),
        ("port", 9000, "gateway", "port"),
        ("ui_port", 7860, "gateway", "ui_port"),
        ("cors_origins", ("https://a",), "gateway", "cors_origins"),
        ("trust_forwarded_for", True, "gateway", "trusted_proxies"),
        ("access_log", False, "gateway", "access_log"),
        ("otlp_endpoint", "c:4317", "gateway", "otlp_endpoint"),
        ("rate_limit_rpm", 100, "gateway", "rate_limit.requests_per_minute"),
        ("rate_limit_burst", 5, "gateway", "rate_limit.burst"),
        ("rate_limit_window_size", 30, "gateway", "rate_limit.window_seconds"),
        ("api_keys_file", HERE, "keys", "file"),
        ("max_batch_size", 1, "limits", "batch_size"),
        ("task_timeout", 9000.0, "gateway", "long_rpc_timeout_seconds"),
        ("model", "org/name", "pool", "options.model"),
        ("models_folder", HERE, "pool", "options.models_folder"),  # a text: it goes to a process
        ("dtype", "float16", "pool", "options.dtype"),
        ("offload", "model", "pool", "options.offload"),
        ("vae_tiling", True, "pool", "options.vae_tiling"),
        ("quantization", "int8", "pool", "options.quantization"),
        ("attention", "flash", "pool", "options.attention"),
        ("compile", True, "pool", "options.compile"),
        ("step_cache", "pyramid", "pool", "options.step_cache"),
        ("step_cache", "first_block", "pool", "options.step_cache"),
        ("parallel", "context", "pool", "options.parallel"),
        ("loras", ("a:0.5",), "pool", "options.loras"),
    ],
)
def test_setting_reaches_its_part(setting: str, value: object, part: str, where: str) -> None:
    settings, plain = Settings(**{setting: value}), Settings()
    find = attrgetter(where)

    found = find(PARTS[part](settings))
    assert (Path(found) if isinstance(value, Path) else found) == value
    assert getattr(plain, setting) == value or find(PARTS[part](plain)) != value


@pytest.mark.parametrize("size", [0, 4])
def test_cache_that_looks_at_the_pictures_allows_no_batch(size: int) -> None:
    def batch_size(step_cache: str) -> int:
        return parts.limits(Settings(max_batch_size=size, step_cache=step_cache)).batch_size

    assert batch_size("first_block") == 1
    assert batch_size("taylorseer") == batch_size("pyramid") == size


def test_image_that_a_submission_waits_for_is_fetched_within_ten_seconds() -> None:
    assert PARTS["images"](Settings()).limits.total_seconds == 10


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"log_sink": "both", "log_file": HERE}, {"kind": "both", "file": HERE}),
        (
            {"log_rotation": 10, "log_retention": 20},
            {"rotation_bytes": 10, "retention_seconds": 20},
        ),
        ({"log_syslog_host": "h", "log_syslog_port": 15}, {"syslog_host": "h", "syslog_port": 15}),
        ({"log_syslog_facility": "local0"}, {"syslog_facility": "local0"}),
    ],
)
def test_log_is_written_where_the_settings_say(
    told: dict[str, Any], settings: dict[str, Any], said: dict[str, Any]
) -> None:
    parts.configure_log(Settings(**settings, log_level="DEBUG", log_format="json"))

    log = told["configure_logging"]
    assert {name: getattr(log.target, name) for name in said} == said
    assert (log.level, log.format) == ("DEBUG", "json")


def test_devices_are_shared_by_the_replicas(told: dict[str, Any]) -> None:
    parts.pool(Settings(parallelism=4, num_replicas=2), HERE)

    pool = told["LocalReplicaPool"]
    assert (pool.parallelism, pool.replicas, len(pool.devices)) == (2, 2, 2)


def test_replicas_keep_their_temporary_files_in_the_cache(told: dict[str, Any]) -> None:
    parts.pool(Settings(cache_dir=Path("c")), HERE)

    assert told["LocalReplicaPool"].temporary == Path.cwd() / "c" / "replicas"


@pytest.mark.parametrize(
    "settings",
    [
        {"log_sink": "file", "log_file": HERE},
        {"log_sink": "syslog", "log_syslog_host": "h", "log_syslog_port": 15},
        {"log_syslog_facility": "local0"},
    ],
)
def test_replicas_log_where_the_settings_say(
    told: dict[str, Any], settings: dict[str, Any]
) -> None:
    parts.pool(Settings(**settings), HERE)

    telemetry = json.loads(told["LocalReplicaPool"].command[-1])
    assert {name: telemetry[name] for name in settings} == {
        name: str(each) if isinstance(each, Path) else each for name, each in settings.items()
    }


def test_what_is_switched_off_is_not_made() -> None:
    assert PARTS["gateway"](Settings(rate_limit_enabled=False)).rate_limit is None
    assert parts.gpus(Settings(enable_gpu_metrics=False))() == ()


@pytest.mark.parametrize(("max_file_size", "max_inline_size"), [(3072, 2**20), (2**20, 3072)])
def test_request_has_room_for_the_largest_inline_input(
    max_file_size: int, max_inline_size: int
) -> None:
    settings = Settings(max_file_size=max_file_size, max_inline_size=max_inline_size)

    room = PARTS["gateway"](settings).max_json_body_bytes

    assert room == 4096 + parts.MEBIBYTE
    assert parts.max_message_bytes(settings) > room


def test_no_setting_is_read_by_nobody() -> None:
    read: set[str] = set()

    class Watched(Settings):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    settings = Watched()
    for make in (*PARTS.values(), parts.configure_log):
        make(settings)

    others = READ_BY_THE_APP | READ_BEFORE_THE_START | OF_ONE_VALUE
    assert Settings.model_fields.keys() - read == others
