"""What Modal charges for the app by day, for comparison with the ledger."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import modal

from gpu import config
from gpu.modal.calls import translate_error
from gpu.modal.connectivity import probe


def cost_by_day(since: date, until: date) -> dict[date, Decimal]:
    """USD for each day (UTC) from `since` to `until`, both included.

    Days without any cost are left out, and so is a day that is not over. Raises ConnectionError;
    its text says what the operator can do.
    """
    try:
        probe()
        items = modal.Workspace.from_context().billing.report(
            start=datetime.combine(since, time(), UTC),
            end=datetime.combine(until + timedelta(days=1), time(), UTC),
            resolution="d",
        )
    except Exception as error:  # the client raises many types
        raise ConnectionError(str(translate_error(error))) from error
    days: dict[date, Decimal] = defaultdict(Decimal)
    for item in items:
        if item.description == config.MODAL_APP:
            days[item.interval_start.date()] += item.cost
    return dict(days)
