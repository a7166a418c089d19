import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# Room in each page for new versions of its rows; and samples cannot be compressed.
FILL = "ALTER TABLE transcriptions_livesession SET (fillfactor = 50)"
PLAIN = "ALTER TABLE transcriptions_livepiece ALTER COLUMN data SET STORAGE EXTERNAL"


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0042_annotations"),
    ]

    operations = [
        migrations.AlterField(
            model_name="accountqueue",
            name="priority",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Live"), (1, "Interactive"), (2, "Batch")]
            ),
        ),
        migrations.AlterField(
            model_name="directupload",
            name="priority",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Live"), (1, "Interactive"), (2, "Batch")]
            ),
        ),
        migrations.AlterField(
            model_name="priorityqueue",
            name="priority",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Live"), (1, "Interactive"), (2, "Batch")]
            ),
        ),
        migrations.AlterField(
            model_name="transcription",
            name="priority",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Live"), (1, "Interactive"), (2, "Batch")], db_default=1, default=1
            ),
        ),
        migrations.CreateModel(
            name="LiveSession",
            fields=[
                (
                    "transcription",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="live",
                        serialize=False,
                        to="transcriptions.transcription",
                    ),
                ),
                ("media_type", models.CharField(max_length=100)),
                ("turn_silence", models.FloatField(null=True)),
                ("received_bytes", models.PositiveBigIntegerField(default=0)),
                ("commits", models.PositiveIntegerField(default=0)),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("parked_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "end_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("stopped", "Stopped"),
                            ("idle", "No audio arrived any more"),
                            ("limit", "A limit was reached"),
                            ("failed", "Speech recognition failed"),
                            ("administrator", "Ended by an administrator"),
                        ],
                        max_length=16,
                    ),
                ),
                ("end_detail", models.TextField(blank=True)),
                (
                    "captions_key",
                    models.CharField(editable=False, max_length=43, null=True, unique=True),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=["ended_at"],
                        name="open_live",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LivePiece",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("end", models.PositiveBigIntegerField()),
                ("data", models.BinaryField()),
                ("commit", models.PositiveIntegerField(null=True)),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pieces",
                        to="transcriptions.livesession",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["session", "id"], name="pieces_of_session")],
            },
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(PLAIN, migrations.RunSQL.noop),
    ]
