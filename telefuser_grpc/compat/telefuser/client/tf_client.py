"""The documented client with its constants and the helpers for several servers."""

from telefuser_grpc.client.tf_client import *  # noqa: F403 - the list is kept there
