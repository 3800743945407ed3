"""The contract templates declare what pipeline authors expect of them."""

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.pipeline.templates import build_pipeline_manifest, build_task_contract_template

CLIP = "prompt negative_prompt seed resolution aspect_ratio target_video_length output_path"
CONTINUED = "prompt negative_prompt seed resolution target_video_length output_path"
STILL = "prompt negative_prompt seed resolution aspect_ratio output_format output_path"


@pytest.mark.parametrize(
    ("task", "names"),
    [
        *((task, CLIP) for task in ("t2v", "i2v", "fl2v")),
        *((task, CONTINUED) for task in ("vc", "s2v")),
        ("vsr", "prompt negative_prompt seed resolution output_path"),
        *((task, STILL) for task in ("t2i", "i2i", "edit")),
    ],
)
def test_each_task_has_its_parameters_in_order(task: str, names: str) -> None:
    template = build_task_contract_template(task)

    assert list(template["parameters"]) == names.split()
    assert all(each["exposed"] for each in template["parameters"].values())


@pytest.mark.parametrize(
    ("name", "type", "default", "enum"),
    [
        ("prompt", "string", "", []),
        ("negative_prompt", "string", "", []),
        ("seed", "integer", 42, []),
        ("output_path", "string", "", []),
        ("resolution", "string", "720p", ["480p", "720p", "1080p"]),
        ("aspect_ratio", "string", "16:9", ["16:9", "9:16", "4:3", "3:4", "1:1", "2:3", "3:2"]),
        ("target_video_length", "integer", 5, []),
        ("output_format", "string", "png", ["png", "jpg", "jpeg", "webp"]),
    ],
)
def test_a_base_parameter_is_the_documented_one(
    name: str, type: str, default: object, enum: list[str]
) -> None:
    task = "t2i" if name == "output_format" else "t2v"

    parameter = build_task_contract_template(task)["parameters"][name]

    assert parameter == {
        "type": type,
        "required": name == "prompt",
        "default": default,
        "description": "",
        "enum": enum,
        "exposed": True,
    }


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
        optional_inputs=["mask"],
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
    assert template["optional_inputs"] == ["mask"]


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
    assert contract.task("i2i").parameters["seed"].default == 42
    assert contract.execution_mode == "serial_single_pipeline"
    assert contract.effective_max_concurrent_tasks == 1


def test_a_manifest_says_how_a_pipeline_runs() -> None:
    manifest = build_pipeline_manifest(
        pipeline_name="x",
        supported_tasks=["t2v"],
        execution_mode="batched",
        effective_max_concurrent_tasks=4,
    )

    assert manifest["execution_mode"] == "batched"
    assert manifest["effective_max_concurrent_tasks"] == 4


def test_a_manifest_takes_task_contracts_that_no_template_made() -> None:
    given = {"t2i": {"parameters": {}}, "dance": {"media_type": "image"}}

    manifest = build_pipeline_manifest(
        pipeline_name="x", supported_tasks=[" t2v ", "t2i", "dance", "t2v"], task_contracts=given
    )

    assert manifest["supported_tasks"] == ["t2v", "t2i", "dance"]
    assert manifest["supported_media_types"] == ["video", "image"]
    assert manifest["task_contracts"]["t2i"] == {"parameters": {}}


def test_a_manifest_takes_the_name_of_one_task() -> None:
    manifest = build_pipeline_manifest(pipeline_name="x", supported_tasks="t2v")

    assert manifest["supported_tasks"] == ["t2v"]
