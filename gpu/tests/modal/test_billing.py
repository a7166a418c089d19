"""What Modal charges for the app."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from gpu.modal import billing
from gpu.tests.modal.control_plane import ControlPlane


def test_cost_is_summed_by_day_for_this_app(plane: ControlPlane) -> None:
    days = [datetime(2026, 5, day) for day in (3, 4, 5, 6)]
    plane.bill = [("transcodio-app", day, f"0.{day.day:02}0001") for day in days]
    plane.bill += [("transcodio-app", days[1], "1"), ("another-app", days[1], "50")]
    assert billing.cost_by_day(date(2026, 5, 4), date(2026, 5, 5)) == {
        date(2026, 5, 4): Decimal("1.040001"),
        date(2026, 5, 5): Decimal("0.050001"),
    }


def test_unreadable_bill_is_reported_with_what_to_do(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="check the network"):
        billing.cost_by_day(date(2026, 5, 4), date(2026, 5, 5))
