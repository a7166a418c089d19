from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0032_subtitleprofile"),
    ]

    operations = [
        migrations.AddField(
            model_name="audioanalysis",
            name="is_opening",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
