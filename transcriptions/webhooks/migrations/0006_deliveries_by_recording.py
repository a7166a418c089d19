from django.db import migrations, models
from django.db.models.fields.json import KT


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0005_pending_by_attempts")]
    operations = [
        migrations.AddIndex(
            "delivery",
            models.Index(KT("payload__data__id"), name="deliveries_by_recording"),
        ),
    ]
