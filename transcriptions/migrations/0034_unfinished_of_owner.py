from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("transcriptions", "0033_openings"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="transcription", name="unfinished_of_owner"),
        migrations.AddIndex(
            model_name="transcription",
            index=models.Index(
                fields=["owner"],
                name="unfinished_of_owner",
                condition=Q(completed_at__isnull=True),
            ),
        ),
    ]
