"""The header that makes a request safe to repeat."""

from telefuser_grpc.scheduler.admission import MAX_REQUEST_ID_LENGTH
from telefuser_grpc.server.rest.bodies import Malformed, detail
from telefuser_grpc.server.rpc import Context


def idempotency_key(context: Context) -> str:
    """Returns the key that a call carries, or nothing. Raises Malformed."""
    metadata = context.invocation_metadata() or ()
    key = next((str(value) for name, value in metadata if name == "idempotency-key"), "")
    if len(key) > MAX_REQUEST_ID_LENGTH:
        why = f"is longer than {MAX_REQUEST_ID_LENGTH} characters; use a UUID"
        raise Malformed([detail(["header", "Idempotency-Key"], why, "string_too_long")])
    return key
