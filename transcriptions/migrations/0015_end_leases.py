from django.db import migrations

# Workers of the earlier release kept the lease of a row that they had finished or returned. In rows
# that wait, `lease_until` was when the task was enqueued again; that of delayed rows is lost.
END = """
UPDATE transcriptions_transcription SET lease = NULL, lease_until = NULL
WHERE state NOT IN ('preprocessing', 'transcribing');
UPDATE transcriptions_transcription
SET lease = gen_random_uuid(), lease_until = coalesce(lease_until, now())
WHERE state IN ('preprocessing', 'transcribing') AND (lease IS NULL OR lease_until IS NULL);
"""
BEGIN = "UPDATE transcriptions_transcription SET lease_until = now() WHERE lease_until IS NULL"


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0014_worker_and_interruptions")]
    operations = [migrations.RunSQL(END, BEGIN)]
