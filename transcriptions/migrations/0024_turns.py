import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

PRIORITIES = [(1, "Interactive"), (2, "Batch")]
STATES = [
    ("queued", "Waiting"),
    ("preprocessing", "Preparing audio"),
    ("prepared", "Waiting for speech recognition"),
    ("transcribing", "Transcribing"),
    ("completed", "Completed"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
]
ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0022_remove_search_column"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="AccountQueue",
            fields=[
                ("id", ID),
                ("priority", models.PositiveSmallIntegerField(choices=PRIORITIES)),
                ("next_start", models.FloatField(default=0.0)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="queues",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["owner", "priority"], name="queue_of_account")
                ]
            },
        ),
        migrations.CreateModel(
            name="PriorityQueue",
            fields=[
                ("id", ID),
                ("state", models.CharField(choices=STATES, max_length=16)),
                ("priority", models.PositiveSmallIntegerField(choices=PRIORITIES)),
                ("virtual_time", models.FloatField(default=0.0)),
                ("passed_over", models.PositiveIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["state", "priority"], name="queue_of_priority")
                ]
            },
        ),
        migrations.AddField(
            model_name="transcription",
            name="priority",
            field=models.PositiveSmallIntegerField(choices=PRIORITIES, db_default=1, default=1),
        ),
        migrations.AddField(
            model_name="transcription",
            name="virtual_start",
            field=models.FloatField(db_default=0.0, default=0.0, editable=False),
        ),
        migrations.AddIndex(
            model_name="transcription",
            index=models.Index(
                fields=["state", "priority", "virtual_start", "created_at"],
                name="waiting_by_turn",
                condition=Q(state__in=("queued", "prepared")),
            ),
        ),
        migrations.AddIndex(
            model_name="transcription",
            index=models.Index(
                fields=["owner"],
                name="unfinished_of_owner",
                condition=~Q(state__in=("completed", "failed", "cancelled")),
            ),
        ),
        migrations.RemoveIndex(model_name="transcription", name="owner_last_claimed_first"),
    ]
