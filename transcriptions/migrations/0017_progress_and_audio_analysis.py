import django.db.models.deletion
from django.db import migrations, models

# Room in each page for new versions of its rows.
FILL = "ALTER TABLE transcriptions_progress SET (fillfactor = 50)"
ADD = """
CREATE FUNCTION transcriptions_add_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transcriptions_progress (transcription_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER add_progress AFTER INSERT ON transcriptions_transcription
    FOR EACH ROW EXECUTE FUNCTION transcriptions_add_progress();
"""
DO_NOT_ADD = """
DROP TRIGGER add_progress ON transcriptions_transcription;
DROP FUNCTION transcriptions_add_progress();
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0016_lease_exactly_while_working")]
    operations = [
        migrations.CreateModel(
            name="Progress",
            fields=[
                (
                    "transcription",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="transcriptions.transcription",
                    ),
                ),
                ("lease_until", models.DateTimeField(null=True)),
                ("unbilled_decode_seconds", models.FloatField(db_default=0)),
                ("unbilled_gpu", models.CharField(blank=True, db_default="", max_length=20)),
                ("unbilled_queue_seconds", models.FloatField(db_default=0)),
                ("unbilled_load_seconds", models.FloatField(db_default=0)),
            ],
        ),
        migrations.CreateModel(
            name="AudioAnalysis",
            fields=[
                (
                    "transcription",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="analysis",
                        serialize=False,
                        to="transcriptions.transcription",
                    ),
                ),
                ("spans", models.JSONField(default=list)),
                ("peaks", models.JSONField(default=list)),
            ],
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(ADD, DO_NOT_ADD),
    ]
