from django.db import migrations, models
from django.db.models import Q

STATES = [("pending", "Pending"), ("delivered", "Delivered"), ("failed", "Failed")]


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_rename_fields")]
    operations = [
        migrations.AddIndex(
            "delivery",
            models.Index(
                fields=["attempts", "next_attempt_at"],
                name="pending_by_attempts",
                condition=Q(state="pending"),
            ),
        ),
        migrations.AlterField(
            "delivery",
            "state",
            models.CharField(choices=STATES, default="pending", max_length=10),
        ),
    ]
