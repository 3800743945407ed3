"""The summaries of a freshly loaded pipeline."""

import json
from typing import Any

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.scheduler.service import ServiceFacts
from telefuser_grpc.telemetry.startup import startup_summaries

CONTRACT = PipelineContract.parse(
    {
        "pipeline_name": "wan",
        "supported_tasks": ["i2v", "t2v"],
        "task_contracts": {
            "i2v": {
                "parameters": {
                    "prompt": {"type": "string", "required": True, "default": ""},
                    "resolution": {"default": "720p", "enum": ["480p", "720p"]},
                    "steps": {"default": 40, "exposed": False},
                }
            }
        },
    },
    stem="p",
)
FACTS = ServiceFacts(
    pipeline_file="./wan.py", parallelism=2, task="i2v", replicas=1, security_level="STRICT"
)


def summaries() -> list[tuple[str, str, dict[str, Any]]]:
    parts = [line.partition(": ") for line in startup_summaries(CONTRACT, FACTS)]
    return [(title, text, json.loads(text)) for title, _, text in parts]


def test_contract_has_one_summary_and_each_task_another() -> None:
    told = summaries()

    assert [title for title, _, _ in told] == [
        "Pipeline contract startup summary",
        "Pipeline task startup summary",
        "Pipeline task startup summary",
    ]
    assert told[0][2]["supported_tasks"] == ["i2v", "t2v"]
    assert [task["task"] for _, _, task in told[1:]] == ["i2v", "t2v"]


def test_keys_of_a_summary_are_sorted() -> None:
    for _, text, summary in summaries():
        assert text == json.dumps(summary, sort_keys=True)


def test_every_summary_names_the_metadata_endpoint() -> None:
    endpoints = {summary["metadata_endpoint"] for _, _, summary in summaries()}

    assert endpoints == {"/v1/service/metadata"}


def test_contract_summary_says_how_the_service_was_started() -> None:
    _, _, summary = summaries()[0]

    expected = {"pipeline_file": "./wan.py", "parallelism": 2, "security_level": "STRICT"}
    assert {name: summary[name] for name in expected} == expected


def test_hidden_parameters_are_left_out() -> None:
    _, text, summary = summaries()[1]

    assert list(summary["parameters"]) == ["prompt", "resolution"]
    assert "steps" not in text
    assert summary["parameters"]["resolution"] == {
        "type": "string",
        "required": False,
        "default": "720p",
        "enum": ["480p", "720p"],
    }
