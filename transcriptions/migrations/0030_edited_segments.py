from django.db import migrations, models

# Segments are also deleted one by one (their text is replaced), not only with their recording.
REMOVE_FROM_INDEX = """
CREATE FUNCTION transcriptions_remove_from_index() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM transcriptions_searchentry entry USING deleted
    WHERE entry.transcription_id = deleted.transcription_id AND entry.number = deleted.number;
    RETURN NULL;
END $$;
CREATE TRIGGER remove_deleted_segments AFTER DELETE ON transcriptions_segment
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION transcriptions_remove_from_index();
"""
KEEP_IN_INDEX = """
DROP TRIGGER remove_deleted_segments ON transcriptions_segment;
DROP FUNCTION transcriptions_remove_from_index();
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0029_search_keys")]
    operations = [
        migrations.AddField(
            model_name="segment",
            name="recognized",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="segment",
            name="conflict",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.RunSQL(REMOVE_FROM_INDEX, KEEP_IN_INDEX),
    ]
