from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0030_detect_speakers"),
    ]

    operations = [
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
                    ("exported", "Transcript exported"),
                    ("data_exported", "Data exported"),
                    ("deleted", "Recording deleted"),
                    ("account_deleted", "Account deleted"),
                    ("admin", "Changed by an administrator"),
                    ("password", "Password changed"),
                    ("email", "Email address changed"),
                    ("mfa_changed", "Two-factor authentication changed"),
                    ("connected_account", "Connected account changed"),
                    ("webhook", "Webhook changed"),
                    ("voice", "Voice changed"),
                ],
                max_length=20,
            ),
        ),
    ]
