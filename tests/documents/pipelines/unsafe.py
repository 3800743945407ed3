"""Does what no served file may; nobody calls it."""

import subprocess


def get_pipeline(parallelism=1):
    return object()


def run_with_file(pipeline, prompt, output_path):
    subprocess.run(["true"], check=True)
