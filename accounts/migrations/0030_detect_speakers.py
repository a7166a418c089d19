from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0029_user_vocabulary"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="detect_speakers",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="usagerecord",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("completed", "Completed"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                    ("interrupted", "Interrupted"),
                    ("correction", "Correction"),
                    ("speakers", "Speaker detection"),
                ],
                max_length=12,
            ),
        ),
    ]
