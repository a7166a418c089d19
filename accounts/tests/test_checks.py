"""Checks of `manage.py check --deploy`."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks


@pytest.mark.parametrize(
    ("signup", "verification", "warned"),
    [("open", "optional", True), ("open", "mandatory", False), ("invited", "optional", False)],
)
def test_deployment_check_warns_about_unverified_signup(
    settings: Any, signup: str, verification: str, warned: bool
) -> None:
    settings.SIGNUP, settings.ACCOUNT_EMAIL_VERIFICATION = signup, verification
    messages = run_checks(include_deployment_checks=True)
    assert ("accounts.W001" in [message.id for message in messages]) is warned
