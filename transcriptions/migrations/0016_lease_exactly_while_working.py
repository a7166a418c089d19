from django.db import migrations, models
from django.db.models import Q

WORKING = Q(state__in=("preprocessing", "transcribing"))


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0015_end_leases")]
    operations = [
        migrations.AddConstraint(
            model_name="transcription",
            constraint=models.CheckConstraint(
                condition=WORKING & Q(lease__isnull=False) | ~WORKING & Q(lease__isnull=True),
                name="lease_exactly_while_working",
            ),
        )
    ]
