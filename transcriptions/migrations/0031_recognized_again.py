import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0030_edited_segments")]
    operations = [
        migrations.AddField(
            model_name="transcription",
            name="previous",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="recognized_again",
                to="transcriptions.transcription",
            ),
        ),
    ]
