from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Users and usage")

    def ready(self) -> None:
        """Connect the audit log, invitations and account deletion to their signals."""
        from allauth.account.signals import user_signed_up
        from allauth.mfa.signals import authentication_failed
        from allauth.usersessions.models import UserSession
        from django.contrib.auth.signals import user_logged_in, user_login_failed
        from django.db.models.signals import post_delete

        from accounts import (  # noqa: F401
            account_deletion,
            audit_log,
            checks,
            invitations,
            sign_in_limits,
        )
        from accounts.models import User

        user_logged_in.connect(audit_log.record_sign_in)
        user_login_failed.connect(audit_log.record_failed_sign_in)
        audit_log.connect()
        authentication_failed.connect(sign_in_limits.count_wrong_code)
        user_signed_up.connect(invitations.accept_invitation)
        post_delete.connect(account_deletion.end_session, sender=UserSession)
        post_delete.connect(account_deletion.erase_traces, sender=User)
