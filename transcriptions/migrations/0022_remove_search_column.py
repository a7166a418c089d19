from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0021_fill_search_entries")]
    operations = [
        migrations.RemoveIndex("transcription", "transcription_search"),
        migrations.RemoveField("transcription", "search"),
    ]
