"""Tables of the accounts app: fields, constraints and queries."""

from __future__ import annotations

from accounts.models.account_deletion import AccountDeletion
from accounts.models.api_token import ApiToken, Scope
from accounts.models.audit_event import Action, AuditEvent
from accounts.models.invitation import INVITATION_DAYS, Invitation
from accounts.models.outgoing_email import OutgoingEmail
from accounts.models.plan import Plan
from accounts.models.quota_notice import QuotaNotice
from accounts.models.usage import Outcome, UsageDay, UsageRecord
from accounts.models.user import User, UserManager

__all__ = [
    "INVITATION_DAYS",
    "AccountDeletion",
    "Action",
    "ApiToken",
    "AuditEvent",
    "Invitation",
    "Outcome",
    "OutgoingEmail",
    "Plan",
    "QuotaNotice",
    "Scope",
    "UsageDay",
    "UsageRecord",
    "User",
    "UserManager",
]
