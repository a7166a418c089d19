from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0007_plural_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="silent_since",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
