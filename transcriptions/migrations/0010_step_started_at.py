from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0009_index_names")]
    operations = [migrations.RenameField("step", "began_at", "started_at")]
