"""The OpenAPI document against the running service, through the gateway."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
)

from telefuser_grpc.server.openapi.document import document
from tests.docs.conftest import KEY

EXAMPLES = 15  # of each operation, beside those of the document and the edges of its schemas
CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {
            "deterministic": True,
            "database": "none",
            "no-shrink": True,
        },
        "phases": {"coverage": {"unexpected-methods": ["PUT", "PATCH", "OPTIONS"]}},
    }
)
DECIDED_ELSEWHERE = [
    positive_data_acceptance,  # the pipeline's contract may refuse what the schema allows
    negative_data_rejection,  # "7" is taken as a number, an empty parameter as none
    allow_header_conformance,  # `create` may also be the id of a task, which has DELETE
]
schema = schemathesis.openapi.from_dict(document(), config=CONFIG)


CLOSED_WITHOUT_KEYS = "/video/"


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_operation_answers_as_documented(
    case: schemathesis.Case, url: str, url_with_keys: str
) -> None:
    if not case.path.startswith(CLOSED_WITHOUT_KEYS):
        case.call_and_validate(base_url=url, excluded_checks=DECIDED_ELSEWHERE)
        return
    headers = {"Authorization": f"Bearer {KEY}"}
    case.call_and_validate(
        base_url=url_with_keys, headers=headers, excluded_checks=DECIDED_ELSEWHERE
    )
