from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and usage"

    def ready(self) -> None:
        """The audit log hears of what Django does, invitations of who has come, and of who goes."""
        from allauth.account.signals import user_signed_up
        from allauth.usersessions.models import UserSession
        from django.contrib.auth.signals import user_logged_in, user_login_failed
        from django.db.models.signals import post_delete

        from accounts import audit, checks, farewell, invitations  # noqa: F401
        from accounts.models import User

        user_logged_in.connect(audit.signed_in)
        user_login_failed.connect(audit.sign_in_failed)
        audit.listen()
        user_signed_up.connect(invitations.accept)
        post_delete.connect(farewell.end_session, sender=UserSession)
        post_delete.connect(farewell.forget_invitation, sender=User)
