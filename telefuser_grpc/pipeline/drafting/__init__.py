"""Drafts a pipeline file for a diffusers model directory, from what its class and parts say."""

from telefuser_grpc.pipeline.drafting.draft import Draft, draft
from telefuser_grpc.pipeline.drafting.refusal import CannotDraft

__all__ = ["CannotDraft", "Draft", "draft"]
