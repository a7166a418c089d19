import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0003_labels")]
    operations = [
        migrations.RenameField("delivery", "answer", "response"),
        migrations.AlterField(
            "replacedsecret",
            "endpoint",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="replaced_secrets",
                to="webhooks.endpoint",
            ),
        ),
    ]
