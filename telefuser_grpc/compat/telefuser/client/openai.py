"""The documented client of the OpenAI-compatible paths."""

from telefuser_grpc.client.openai import (
    Image,
    ImagesAPI,
    ImagesResponse,
    OpenAICompatibleClient,
    Video,
    VideosAPI,
    VideosList,
)

__all__ = [
    "Image",
    "ImagesAPI",
    "ImagesResponse",
    "OpenAICompatibleClient",
    "Video",
    "VideosAPI",
    "VideosList",
]
