import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0026_direct_uploads"),
    ]

    operations = [
        migrations.AddField(
            model_name="directupload",
            name="stored_options",
            field=models.JSONField(db_column="options", db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name="segment",
            name="channel",
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="segment",
            name="decoding",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="segment",
            name="language",
            field=models.CharField(blank=True, db_default="", default="", max_length=8),
        ),
        migrations.AddField(
            model_name="transcription",
            name="languages",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=8), db_default=[], default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="transcription",
            name="stored_options",
            field=models.JSONField(db_column="options", db_default={}, default=dict),
        ),
    ]
