from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0027_options_and_decoding"),
    ]

    operations = [
        migrations.AddField(
            model_name="transcription",
            name="tracks",
            field=models.JSONField(db_default=[], default=list),
        ),
    ]
