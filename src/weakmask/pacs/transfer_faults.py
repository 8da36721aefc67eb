"""Faults of a transfer from or to a server."""

from weakmask.errors import UserError


class UnreachableError(UserError):
    """A server that gives no answer, or asks to come again, or refuses the user; the same transfer may succeed later.

    Any other refusal is a plain `UserError`: the same transfer is refused again.
    """


def extra_needed(error: ImportError) -> UserError:
    """The error for a library that is not installed."""
    return UserError(
        f"transfers from and to a PACS need the libraries of the extra `pacs` ({error}); pip install 'weakmask[pacs]'"
    )
