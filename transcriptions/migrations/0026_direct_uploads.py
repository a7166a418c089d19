import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("transcriptions", "0025_turns_of_waiting"),
    ]
    operations = [
        migrations.CreateModel(
            name="DirectUpload",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("title", models.CharField(max_length=255)),
                ("requested_language", models.CharField(blank=True, max_length=8)),
                (
                    "priority",
                    models.PositiveSmallIntegerField(choices=[(1, "Interactive"), (2, "Batch")]),
                ),
                ("bytes", models.PositiveBigIntegerField()),
                ("part_bytes", models.PositiveBigIntegerField()),
                ("storage_id", models.CharField(blank=True, max_length=1024)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="direct_uploads",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="accounts.apitoken",
                    ),
                ),
            ],
        ),
    ]
