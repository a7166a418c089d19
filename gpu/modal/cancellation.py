"""Cancels one call where it runs, and no other call on the same GPU.

Every call gets a random id. To cancel it, the caller puts the id into a modal.Dict, and the method
that serves the call checks regularly whether it is there. Modal's own cancellation works only for
calls that have already yielded something, and if a method does not return soon, it ends the whole
container with all other calls.
"""

from __future__ import annotations

import logging
import threading
import uuid

import modal

from gpu import config

log = logging.getLogger(__name__)


def new_call_id() -> str:
    """A random id."""
    return uuid.uuid4().hex


def cancel(call_id: str) -> threading.Thread:
    """Cancels that call, in a thread: the client tries for a minute to reach a dead server."""
    thread = threading.Thread(target=_cancel, args=(call_id,), daemon=True, name="modal-cancel")
    thread.start()
    return thread


def _cancel(call_id: str) -> None:
    try:
        _cancelled_calls().put(call_id, True)
    except Exception as error:  # Modal cannot be reached
        log.warning("a call at Modal could not be cancelled: %r", error)


async def is_cancelled(call_id: str) -> bool:
    """Whether that call was cancelled."""
    return bool(await _cancelled_calls().contains.aio(call_id))


def _cancelled_calls() -> modal.Dict:
    """A modal.Dict, which drops entries that have not been read for a week."""
    return modal.Dict.from_name(config.MODAL_CANCELLED_CALLS, create_if_missing=True)
