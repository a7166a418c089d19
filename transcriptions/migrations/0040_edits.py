import django.db.models.constraints
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0039_speaker_name_words"),
    ]

    operations = [
        migrations.CreateModel(
            name="Edit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("revision", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("text", "Text edited"),
                            ("speakers", "Speakers changed"),
                            ("detection", "Speakers detected"),
                            ("import", "Text imported"),
                            ("restore", "Earlier version restored"),
                            ("undo", "Change undone"),
                            ("redo", "Change redone"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("applied", "Applied"),
                            ("undone", "Undone"),
                            ("discarded", "Discarded"),
                        ],
                        max_length=16,
                        null=True,
                    ),
                ),
                ("changes", models.JSONField(default=list)),
                ("speakers", models.JSONField(null=True)),
            ],
            options={
                "ordering": ["revision"],
            },
        ),
        migrations.AddField(
            model_name="segment",
            name="paragraph",
            field=models.BooleanField(null=True),
        ),
        migrations.RemoveConstraint(
            model_name="segment",
            name="segment_number",
        ),
        migrations.AddConstraint(
            model_name="segment",
            constraint=models.UniqueConstraint(
                deferrable=django.db.models.constraints.Deferrable["IMMEDIATE"],
                fields=("transcription", "number"),
                name="segment_number",
            ),
        ),
        migrations.AddField(
            model_name="edit",
            name="transcription",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="edits",
                to="transcriptions.transcription",
            ),
        ),
        migrations.AddConstraint(
            model_name="edit",
            constraint=models.UniqueConstraint(
                fields=("transcription", "revision"), name="edit_revision"
            ),
        ),
    ]
