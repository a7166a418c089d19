from django.db import migrations

MOVED = (
    "lease_until",
    "unbilled_decode_seconds",
    "unbilled_gpu",
    "unbilled_queue_seconds",
    "unbilled_load_seconds",
    "spans",
    "peaks",
)
# The table of processing/lifecycle.py as it is at this point. A row that is inserted may have any
# state.
TRANSITIONS = """
CREATE OR REPLACE FUNCTION transcriptions_check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (OLD.state, NEW.state) IN (
        ('queued', 'preprocessing'),
        ('queued', 'cancelled'),
        ('preprocessing', 'queued'),
        ('preprocessing', 'prepared'),
        ('preprocessing', 'failed'),
        ('preprocessing', 'cancelled'),
        ('prepared', 'transcribing'),
        ('prepared', 'cancelled'),
        ('transcribing', 'prepared'),
        ('transcribing', 'completed'),
        ('transcribing', 'failed'),
        ('transcribing', 'cancelled'),
        {more}
        ('failed', 'queued'),
        ('cancelled', 'queued')
    ) THEN
        RAISE EXCEPTION 'illegal transition from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
# Resumed recordings are prepared again: they start at `queued`.
FROM_THE_START = TRANSITIONS.format(more="")
FROM_EITHER = TRANSITIONS.format(more="('failed', 'prepared'), ('cancelled', 'prepared'),")


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0018_move_progress_and_audio_analysis")]
    operations = [
        migrations.RunSQL(FROM_THE_START, FROM_EITHER),
        migrations.RemoveIndex("transcription", "unfinished_lease_until"),
        *(migrations.RemoveField("transcription", name) for name in MOVED),
    ]
