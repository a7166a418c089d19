from django.db import migrations

RENAMED = {
    "spent_seconds": "unbilled_decode_seconds",
    "spent_gpu": "unbilled_gpu",
    "spent_queue_seconds": "unbilled_queue_seconds",
    "spent_load_seconds": "unbilled_load_seconds",
}


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0006_spent_waiting")]
    operations = [
        migrations.RenameField("transcription", old_name=old, new_name=new)
        for old, new in RENAMED.items()
    ]
