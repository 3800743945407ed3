"""Who calls: the owner of what a call makes, and of all that it may see."""

from contextvars import ContextVar

_CALLER: ContextVar[str] = ContextVar("caller", default="")


def current_caller() -> str:
    """Returns the caller of the call under way; "" where the service knows no callers."""
    return _CALLER.get()


def set_caller(name: str) -> None:
    """Says who calls, for the rest of this call."""
    _CALLER.set(name)


def is_mine(owner: str) -> bool:
    """Tells whether the caller may see what somebody owns."""
    caller = current_caller()
    return not caller or caller == owner
