"""The contract templates declare what pipeline authors expect of them."""

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.pipeline.templates import build_pipeline_manifest, build_task_contract_template


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (
            "i2v",
            "prompt negative_prompt seed resolution aspect_ratio target_video_length output_path",
        ),
        ("vc", "prompt negative_prompt seed resolution target_video_length output_path"),
        ("vsr", "prompt negative_prompt seed resolution output_path"),
        ("edit", "prompt negative_prompt seed resolution aspect_ratio output_format output_path"),
    ],
)
def test_each_task_has_its_parameters_in_order(task: str, names: str) -> None:
    template = build_task_contract_template(task)

    assert list(template["parameters"]) == names.split()
    assert all(each["exposed"] for each in template["parameters"].values())


def test_a_template_has_the_inputs_and_the_media_type_of_its_task() -> None:
    template = build_task_contract_template("i2v")

    assert template["required_inputs"] == ["first_image_path"]
    assert template["optional_inputs"] == ["last_image_path"]
    assert template["media_type"] == "video"


def test_overrides_are_merged_added_and_excluded() -> None:
    template = build_task_contract_template(
        "t2i",
        parameter_overrides={
            "resolution": {"default": "1024x1024", "enum": []},
            "steps": {"default": 9},
        },
        excluded_parameters=["seed", "aspect_ratio"],
        required_inputs=["first_image_path"],
        media_type="video",
    )

    assert template["parameters"]["resolution"] == {
        "type": "string",
        "required": False,
        "default": "1024x1024",
        "description": "",
        "enum": [],
        "exposed": True,
    }
    assert template["parameters"]["steps"] == {"default": 9}
    assert not {"seed", "aspect_ratio"} & set(template["parameters"])
    assert (template["required_inputs"], template["media_type"]) == (["first_image_path"], "video")


def test_templates_do_not_share_what_an_author_may_change() -> None:
    build_task_contract_template("t2v")["parameters"]["resolution"]["enum"].append("8k")

    assert "8k" not in build_task_contract_template("t2v")["parameters"]["resolution"]["enum"]


def test_a_manifest_is_a_whole_contract() -> None:
    manifest = build_pipeline_manifest(
        pipeline_name="x",
        supported_tasks=["t2i", "t2v", "i2i"],
        task_contracts={"t2v": build_task_contract_template("t2v", excluded_parameters=["seed"])},
        entrypoints={"run_with_file": "make"},
    )

    contract = PipelineContract.parse(manifest, stem="file")

    assert manifest["contract_version"] == "v1"
    assert manifest["supported_media_types"] == ["image", "video"]
    assert manifest["entrypoints"] == {"get_pipeline": "get_pipeline", "run_with_file": "make"}
    assert list(contract.tasks) == ["t2i", "t2v", "i2i"]
    assert "seed" not in contract.task("t2v").parameters
    assert contract.task("i2i").required_inputs == ("first_image_path",)
