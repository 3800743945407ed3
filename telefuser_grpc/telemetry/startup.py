"""Tells the log what a freshly loaded pipeline can do."""

import json
from collections.abc import Iterator
from typing import Any

from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.scheduler.service import ServiceFacts

METADATA_ENDPOINT = "/v1/service/metadata"


def startup_summaries(contract: PipelineContract, facts: ServiceFacts) -> Iterator[str]:
    """Yields a line for the pipeline and one for each of its tasks; hidden parameters stay so."""
    yield f"Pipeline contract startup summary: {_json(_pipeline(contract, facts))}"
    for task in contract.tasks.values():
        yield f"Pipeline task startup summary: {_json(_task(task, contract.pipeline_name))}"


def _json(value: dict[str, Any]) -> str:
    value["metadata_endpoint"] = METADATA_ENDPOINT
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _pipeline(contract: PipelineContract, facts: ServiceFacts) -> dict[str, Any]:
    return {
        "pipeline_name": contract.pipeline_name,
        "pipeline_file": facts.pipeline_file,
        "declared_pipeline_contract": contract.declared,
        "contract_version": contract.contract_version,
        "supported_tasks": list(contract.tasks),
        "supported_media_types": list(contract.media_types),
        "execution_mode": contract.execution_mode,
        "effective_max_concurrent_tasks": contract.effective_max_concurrent_tasks,
        "entrypoints": dict(contract.entrypoints),
        "parallelism": facts.parallelism,
        "num_replicas": facts.replicas,
        "security_level": facts.security_level,
    }


def _task(task: TaskContract, pipeline_name: str) -> dict[str, Any]:
    return {
        "pipeline_name": pipeline_name,
        "task": task.kind,
        "media_type": task.media_type,
        "required_inputs": list(task.required_inputs),
        "optional_inputs": list(task.optional_inputs),
        "parameters": {
            name: _parameter(each) for name, each in task.parameters.items() if each.exposed
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "type": parameter.type,
        "required": parameter.required,
        "default": parameter.default,
        "enum": list(parameter.enum),
    }
