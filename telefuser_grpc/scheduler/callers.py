"""Who calls: the owner of what a call makes, and of all that it may see."""

from contextvars import ContextVar

_CALLER: ContextVar[str] = ContextVar("caller", default="")
_KEY_ID: ContextVar[str] = ContextVar("key_id", default="")


def current_caller() -> str:
    """Returns the caller of the call under way; "" where the service knows no callers."""
    return _CALLER.get()


def current_key_id() -> str:
    """Returns the id of the key that let the caller in; "" where nobody needs one."""
    return _KEY_ID.get()


def set_caller(name: str, *, key_id: str = "") -> None:
    """Says who calls, and with which key, for the rest of this call."""
    _CALLER.set(name)
    _KEY_ID.set(key_id)


def is_mine(owner: str) -> bool:
    """Tells whether the caller may see what somebody owns."""
    caller = current_caller()
    return not caller or caller == owner
