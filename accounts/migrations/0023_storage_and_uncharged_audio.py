from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0022_rename_fields")]
    operations = [
        migrations.AddField(
            "plan",
            "max_storage_mb",
            models.PositiveIntegerField(
                blank=True,
                help_text="All uploads that are kept, together",
                null=True,
                verbose_name="maximum storage (MB)",
            ),
        ),
        migrations.AddField("usagerecord", "uncharged_ms", models.BigIntegerField(default=0)),
    ]
