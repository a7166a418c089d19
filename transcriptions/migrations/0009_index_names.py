from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0008_state_transitions")]
    operations = [
        migrations.RenameIndex("transcription", "owner_newest_first", old_name="library"),
        migrations.RenameIndex("transcription", "unfinished_lease_until", old_name="forgotten"),
        migrations.RenameIndex("transcription", "transcription_search", old_name="words"),
    ]
