from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and usage"

    def ready(self) -> None:
        """The audit log hears of what Django does, and invitations of who has come."""
        from allauth.account.signals import user_signed_up
        from django.contrib.auth.signals import user_logged_in, user_login_failed

        from accounts import audit, invitations

        user_logged_in.connect(audit.signed_in)
        user_login_failed.connect(audit.sign_in_failed)
        audit.listen()
        user_signed_up.connect(invitations.accept)
