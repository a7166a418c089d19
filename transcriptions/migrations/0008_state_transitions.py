from django.db import migrations, models
from django.db.models import Q

# The table of processing/lifecycle.py as it was at this point. A row that is inserted may have any
# state.
FORBID = """
CREATE FUNCTION transcriptions_check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
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
        ('failed', 'queued'),
        ('failed', 'prepared'),
        ('cancelled', 'queued'),
        ('cancelled', 'prepared')
    ) THEN
        RAISE EXCEPTION 'illegal transition from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_transition BEFORE UPDATE OF state ON transcriptions_transcription
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION transcriptions_check_transition();
"""
ALLOW = """
DROP TRIGGER check_transition ON transcriptions_transcription;
DROP FUNCTION transcriptions_check_transition();
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0007_unbilled_usage")]
    operations = [
        migrations.RunSQL(FORBID, ALLOW),
        migrations.AddConstraint(
            model_name="transcription",
            constraint=models.CheckConstraint(
                condition=Q(
                    state__in=("completed", "failed", "cancelled"), completed_at__isnull=False
                )
                | (
                    ~Q(state__in=("completed", "failed", "cancelled"))
                    & Q(completed_at__isnull=True)
                ),
                name="finished_has_completed_at",
            ),
        ),
    ]
