"""Makes the options of a service of sessions of the settings."""

import os
from pathlib import Path

from telefuser_grpc.app.parts import model_options, replica_telemetry
from telefuser_grpc.config import Settings
from telefuser_grpc.scheduler.stream_service import StreamServiceFacts
from telefuser_grpc.webrtc.options import WebRtcOptions
from telefuser_grpc.workers.devices import allot
from telefuser_grpc.workers.streams.host import COMMAND, LocalStreamHost


def stream_facts(settings: Settings, pipeline: Path) -> StreamServiceFacts:
    """Returns what the metadata says of the service itself."""
    return StreamServiceFacts(
        pipeline_file=str(settings.pipe_path or pipeline.name),
        parallelism=settings.parallelism or 1,
        security_level=settings.security_level,
        video_codec=settings.webrtc_video_codec,
        video_bitrate=settings.webrtc_video_bitrate,
        queue_limit=settings.max_queue_size,
        configured_concurrency=settings.max_concurrent_tasks,
    )


def stream_host(settings: Settings, pipeline: Path) -> LocalStreamHost:
    """Makes the process that generates. Raises AllotmentError."""
    gpu_num = settings.parallelism or 1
    (devices,) = allot(parallelism=gpu_num, replicas=1, environment=os.environ)
    return LocalStreamHost(
        pipeline,
        devices=devices,
        gpu_num=gpu_num,
        options=model_options(settings),
        media_roots=[root.absolute() for root in settings.allowed_media_roots],
        start_timeout_seconds=settings.start_timeout,
        stop_grace_seconds=settings.cancel_timeout,
        silence_seconds=settings.replica_timeout,
        temporary=settings.cache_dir.absolute() / "replicas",
        command=(*COMMAND, replica_telemetry(settings).argument),
    )


def webrtc_options(settings: Settings) -> WebRtcOptions:
    """Returns how connections of browsers are made."""
    credential = settings.turn_credential
    return WebRtcOptions(
        codec=settings.webrtc_video_codec,
        bitrate=settings.webrtc_video_bitrate,
        buffer_seconds=settings.webrtc_video_buffer_seconds,
        data_channel_timeout_seconds=settings.webrtc_data_channel_timeout_seconds,
        disconnected_grace_seconds=settings.webrtc_disconnected_grace_seconds,
        stun_servers=settings.stun_servers,
        turn_server=settings.turn_server,
        turn_username=settings.turn_username,
        turn_credential=credential.get_secret_value() if credential else None,
    )
