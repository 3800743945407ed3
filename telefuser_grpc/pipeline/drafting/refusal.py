"""Why a model gets no pipeline file."""


class CannotDraft(Exception):
    """No file can be written for a model; the message says why and what helps."""
