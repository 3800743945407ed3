"""The composition root of the server."""

from telefuser_grpc.app.service import App, serve

__all__ = ["App", "serve"]
