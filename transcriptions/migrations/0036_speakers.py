import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0035_request_id"),
    ]

    operations = [
        migrations.AddField(
            model_name="segment",
            name="speaker",
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="progress",
            name="speaker_changes",
            field=models.PositiveIntegerField(db_default=0),
        ),
        migrations.CreateModel(
            name="Speaker",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveSmallIntegerField()),
                ("name", models.CharField(blank=True, db_default="", default="", max_length=100)),
                (
                    "transcription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="speakers",
                        to="transcriptions.transcription",
                    ),
                ),
            ],
            options={
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("transcription", "number"), name="speaker_number"
                    ),
                ],
            },
        ),
    ]
