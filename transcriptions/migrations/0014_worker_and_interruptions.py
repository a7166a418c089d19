from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("transcriptions", "0012_no_audio_of_finished"),
    ]
    operations = [
        migrations.AddField(
            model_name="transcription",
            name="worker",
            field=models.CharField(blank=True, default="", editable=False, max_length=255),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="transcription",
            name="claimed_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="transcription",
            name="interruptions",
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.AlterField(
            model_name="transcription",
            name="lease_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="transcription",
            index=models.Index(
                fields=["owner", "-claimed_at"],
                name="owner_last_claimed_first",
                condition=Q(claimed_at__isnull=False),
            ),
        ),
        migrations.AddIndex(
            model_name="transcription",
            index=models.Index(fields=["owner"], name="leased", condition=Q(lease__isnull=False)),
        ),
    ]
