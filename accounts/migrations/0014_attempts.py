from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_nothing_is_truncated")]
    operations = [migrations.RenameField("usageday", "jobs", "attempts")]
