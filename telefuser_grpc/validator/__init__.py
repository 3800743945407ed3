"""Lints pipeline files for code that a server should not load unseen.

It is a lint, not an isolation: it catches carelessness and plain attacks, and a file that it finds
clean can still do harm. Run replicas as a user that may do little.
"""

from telefuser_grpc.validator.check import MAX_BYTES, validate_file
from telefuser_grpc.validator.level import Level
from telefuser_grpc.validator.report import Finding, Report, Severity, json_report, text_report
from telefuser_grpc.validator.serving import UnsafePipeline, check_before_serving

__all__ = [
    "MAX_BYTES",
    "Finding",
    "Level",
    "Report",
    "Severity",
    "UnsafePipeline",
    "check_before_serving",
    "json_report",
    "text_report",
    "validate_file",
]
