"""Ending one call where it runs, and no other one on the same GPU.

Every call carries a ticket. Who does not want the call any more hands the ticket in, and the method
that serves the call looks for it. Modal's own way to cancel a call knows only those that have
spoken already, and where a method takes its time it ends the whole container, neighbours included.
"""

from __future__ import annotations

import logging
import threading
import uuid

import modal

from gpu import config

log = logging.getLogger(__name__)


def new() -> str:
    """One that nobody has."""
    return uuid.uuid4().hex


def hand_in(ticket: str) -> threading.Thread:
    """Ends that call, in a thread: the client would try for a minute to reach a dead server."""
    thread = threading.Thread(target=_hand_in, args=(ticket,), daemon=True, name="modal-cancel")
    thread.start()
    return thread


def _hand_in(ticket: str) -> None:
    try:
        _handed_in().put(ticket, True)
    except Exception as error:  # whoever cannot be reached cannot be told either
        log.warning("a call at Modal could not be ended: %r", error)


async def is_handed_in(ticket: str) -> bool:
    """Whether nobody wants that call any more."""
    return bool(await _handed_in().contains.aio(ticket))


def _handed_in() -> modal.Dict:
    """What nobody asks for any more goes from there after a week."""
    return modal.Dict.from_name(config.MODAL_TICKETS, create_if_missing=True)
