"""Declares no contract: it is served as the one task that the command line names."""


def get_pipeline(parallelism=1):
    return object()


def run_with_file(pipeline, prompt, negative_prompt, seed, resolution, output_path):
    import av
    from PIL import Image

    with av.open(output_path, "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height = 32, 24
        for _ in range(4):
            image = Image.new("RGB", (32, 24), "olive")
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return output_path
