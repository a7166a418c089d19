from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and usage"

    def ready(self) -> None:
        """The audit log hears of what Django does, and invitations of who has come."""
        from allauth.account import signals as account
        from allauth.mfa import signals as mfa
        from django.contrib.auth.signals import user_logged_in, user_login_failed

        from accounts import audit, invitations
        from accounts.audit import Action

        user_logged_in.connect(audit.signed_in)
        user_login_failed.connect(audit.sign_in_failed)
        account.user_signed_up.connect(invitations.accept)
        for action, signals in {
            Action.PASSWORD: (
                account.password_changed,
                account.password_reset,
                account.password_set,
            ),
            Action.EMAIL: (account.email_added, account.email_changed, account.email_removed),
            Action.FACTOR: (
                mfa.authenticator_added,
                mfa.authenticator_removed,
                mfa.authenticator_reset,
            ),
        }.items():
            for signal in signals:
                signal.connect(audit.told_of(action), weak=False)
        wrong_code = audit.told_of(Action.SIGN_IN_FAILED, "A wrong code")
        mfa.authentication_failed.connect(wrong_code, weak=False)
