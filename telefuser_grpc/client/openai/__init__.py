"""The documented client of the OpenAI-compatible paths."""

from telefuser_grpc.client.openai.client import OpenAICompatibleClient
from telefuser_grpc.client.openai.images import Image, ImagesAPI, ImagesResponse
from telefuser_grpc.client.openai.videos import Video, VideosAPI, VideosList

__all__ = [
    "Image",
    "ImagesAPI",
    "ImagesResponse",
    "OpenAICompatibleClient",
    "Video",
    "VideosAPI",
    "VideosList",
]
