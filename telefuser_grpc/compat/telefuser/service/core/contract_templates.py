"""The contract templates, under the name that pipeline files know."""

from telefuser_grpc.pipeline.templates import build_pipeline_manifest, build_task_contract_template

__all__ = ["build_pipeline_manifest", "build_task_contract_template"]
