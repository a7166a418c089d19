import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0037_voices"),
    ]

    operations = [
        migrations.CreateModel(
            name="DiarizationJob",
            fields=[
                (
                    "transcription",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="diarization_job",
                        serialize=False,
                        to="transcriptions.transcription",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("min_speakers", models.PositiveSmallIntegerField(null=True)),
                ("max_speakers", models.PositiveSmallIntegerField(null=True)),
                ("virtual_start", models.FloatField(default=0.0)),
                ("lease", models.UUIDField(null=True)),
                ("worker", models.CharField(blank=True, max_length=255)),
                ("lease_until", models.DateTimeField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("decode_seconds", models.FloatField(default=0.0)),
                ("gpu", models.CharField(blank=True, default="", max_length=20)),
                ("error", models.TextField(blank=True)),
            ],
        ),
        migrations.AlterField(
            model_name="step",
            name="phase",
            field=models.CharField(
                choices=[
                    ("upload", "Upload"),
                    ("queue", "Queue"),
                    ("preprocess", "Preprocess"),
                    ("ready", "Queue for recognition"),
                    ("engine", "Wait for the engine"),
                    ("decode", "Decode"),
                    ("speakers", "Detect speakers"),
                    ("completed", "Completed"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                ],
                max_length=12,
            ),
        ),
    ]
