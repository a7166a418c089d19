from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0040_edits"),
    ]

    operations = [
        migrations.AddField(
            model_name="audioanalysis",
            name="waveform",
            field=models.BinaryField(db_default=b"", default=b""),
        ),
    ]
