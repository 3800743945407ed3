"""A pipeline file as the document shows them: its contract from templates, files of its own."""

from telefuser.service.core.contract_templates import (
    build_pipeline_manifest,
    build_task_contract_template,
)

PIPELINE_MANIFEST = build_pipeline_manifest(
    pipeline_name="documented",
    supported_tasks=["t2v", "i2v", "t2i"],
    task_contracts={
        "t2i": build_task_contract_template(
            "t2i", parameter_overrides={"resolution": {"default": "1024x1024", "enum": []}}
        )
    },
)


def get_pipeline(parallelism=1):
    return object()


def run_with_file(pipeline, task, prompt, output_path, **others):
    from PIL import Image

    image = Image.new("RGB", (32, 24), "olive")
    if task == "t2i":
        image.save(output_path)
    else:
        save_video([image] * 4, output_path)
    return output_path


def save_video(images, path):
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height = images[0].size
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
