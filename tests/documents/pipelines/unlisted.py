"""Imports what nobody has listed."""

import some_helper


def get_pipeline(parallelism=1):
    return some_helper.build()


def run_with_file(pipeline, prompt, output_path):
    return output_path
