"""Findings of bandit, by those of its tests that mean danger in a pipeline file."""

import io
import logging
from collections.abc import Iterator

from telefuser_grpc.validator.report import Finding, Severity
from telefuser_grpc.validator.source import Source

WORTH_REFUSING = {
    "B102",  # exec
    "B103",  # files made writable for all
    "B104",  # listens on all addresses
    "B201",  # a debugger on the network
    "B202",  # archives that write anywhere
    "B301",  # pickle and what is built on it
    "B302",  # marshal
    "B306",  # names of temporary files that can be foreseen
    "B307",  # eval
    "B310",  # URLs that may be files
    "B312",  # telnet
    "B321",  # FTP
    "B323",  # certificates are not checked
    "B501",
    "B502",
    "B503",
    "B504",
    "B506",  # YAML that makes objects
    "B507",  # SSH hosts are not checked
    "B601",  # commands for a shell
    "B602",
    "B604",
    "B605",
    "B606",
    "B607",
    "B609",
    "B612",  # logging configured over the network
    "B613",  # code that reads otherwise than it runs
    "B614",  # torch.load
}


def check_with_bandit(source: Source) -> Iterator[Finding]:
    """Finds what bandit knows; comments of the file that would silence it are ignored."""
    # imported late: it costs a quarter of a second and 19 MB
    # type: ignore, because bandit ships no types
    from bandit.core import (  # type: ignore[import-untyped]
        config,
        meta_ast,
        metrics,
        node_visitor,
        test_set,
    )

    logging.getLogger("bandit").setLevel(logging.CRITICAL)
    tests = test_set.BanditTestSet(config.BanditConfig(), {"include": WORTH_REFUSING})
    visitor = node_visitor.BanditNodeVisitor(
        *("pipeline.py", io.BytesIO(source.text.encode()), meta_ast.BanditMetaAst(), tests),
        *(False, {}, metrics.Metrics()),
    )
    visitor.process(source.text)
    for issue in visitor.tester.results:
        yield Finding(
            line_number=issue.lineno,
            column=max(issue.col_offset, 0) + 1,
            violation_type=f"BANDIT_{issue.test_id}",
            description=issue.text,
            code_snippet="",
            severity=Severity.HIGH,
        )
