from django.db import migrations

MOVE = """
INSERT INTO transcriptions_progress (transcription_id, lease_until, unbilled_decode_seconds,
    unbilled_gpu, unbilled_queue_seconds, unbilled_load_seconds)
SELECT id, lease_until, unbilled_decode_seconds,
    unbilled_gpu, unbilled_queue_seconds, unbilled_load_seconds
FROM transcriptions_transcription ON CONFLICT DO NOTHING;
INSERT INTO transcriptions_audioanalysis (transcription_id, spans, peaks)
SELECT id, spans, peaks FROM transcriptions_transcription
WHERE duration IS NOT NULL ON CONFLICT DO NOTHING;
"""
MOVE_BACK = """
UPDATE transcriptions_transcription
SET lease_until = progress.lease_until,
    unbilled_decode_seconds = progress.unbilled_decode_seconds,
    unbilled_gpu = progress.unbilled_gpu,
    unbilled_queue_seconds = progress.unbilled_queue_seconds,
    unbilled_load_seconds = progress.unbilled_load_seconds
FROM transcriptions_progress progress WHERE transcription_id = id;
UPDATE transcriptions_transcription SET spans = analysis.spans, peaks = analysis.peaks
FROM transcriptions_audioanalysis analysis WHERE transcription_id = id;
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0017_progress_and_audio_analysis")]
    operations = [migrations.RunSQL(MOVE, MOVE_BACK)]
