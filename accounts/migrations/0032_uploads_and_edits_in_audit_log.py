from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0031_voices_in_audit_log"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="auditevent",
            options={"ordering": ["-created_at", "-id"], "verbose_name_plural": "audit log"},
        ),
        migrations.AlterModelOptions(
            name="usagerecord",
            options={"ordering": ["-created_at", "-id"], "verbose_name_plural": "usage ledger"},
        ),
        migrations.AlterField(
            model_name="auditevent",
            name="action",
            field=models.CharField(
                choices=[
                    ("signed_in", "Signed in"),
                    ("sign_in_failed", "Sign-in failed"),
                    ("token_created", "API token created"),
                    ("token_revoked", "API token revoked"),
                    ("token_new_address", "API token used from a new IP address"),
                    ("uploaded", "Recording added"),
                    ("edited", "Transcript edited"),
                    ("exported", "Transcript exported"),
                    ("data_exported", "Data exported"),
                    ("deleted", "Recording deleted"),
                    ("account_deleted", "Account deleted"),
                    ("admin", "Changed by an administrator"),
                    ("password", "Password changed"),
                    ("email", "Email address changed"),
                    ("email_confirmed", "Email address confirmed"),
                    ("mfa_changed", "Two-factor authentication changed"),
                    ("connected_account", "Connected account changed"),
                    ("webhook", "Webhook changed"),
                    ("voice", "Voice changed"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="auditevent",
            name="address",
            field=models.GenericIPAddressField(null=True, verbose_name="IP address"),
        ),
        migrations.AlterField(
            model_name="usagerecord",
            name="transcription",
            field=models.UUIDField(db_index=True, verbose_name="recording"),
        ),
        migrations.AlterField(
            model_name="usagerecord",
            name="gpu_type",
            field=models.CharField(blank=True, max_length=20, verbose_name="GPU"),
        ),
        migrations.AlterField(
            model_name="usagerecord",
            name="billed",
            field=models.BooleanField(default=False, verbose_name="charged"),
        ),
    ]
