from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0021_labels")]
    operations = [
        migrations.RemoveConstraint("quotanotice", "one_notice_per_threshold"),
        migrations.RenameField("quotanotice", "mark", "threshold"),
        migrations.AddConstraint(
            "quotanotice",
            models.UniqueConstraint(
                fields=("user", "month", "threshold"), name="one_notice_per_threshold"
            ),
        ),
        migrations.RenameField("user", "mail_when_ready", "email_when_ready"),
    ]
