from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0034_unfinished_of_owner"),
    ]

    operations = [
        migrations.AddField(
            model_name="transcription",
            name="request_id",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=128
            ),
        ),
    ]
