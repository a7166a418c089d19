from django.db import connection, migrations, transaction

BATCH = 200  # recordings in one transaction

NEXT = """
SELECT id FROM transcriptions_transcription WHERE id > %s ORDER BY id LIMIT %s FOR KEY SHARE
"""
# What is missing: texts that were changed meanwhile have been indexed by the triggers, and those of
# an interrupted run are left alone.
FILL = """
INSERT INTO transcriptions_searchentry (transcription_id, number, vector)
SELECT row.id, text.number,
    transcriptions_search_vector(row.owner_id, row.language, text.text)
FROM transcriptions_transcription row
CROSS JOIN LATERAL (
    SELECT 0, row.title
    UNION ALL
    SELECT number, text FROM transcriptions_segment WHERE transcription_id = row.id
) AS text (number, text)
WHERE row.id = ANY(%s) AND NOT EXISTS (
    SELECT FROM transcriptions_searchentry entry
    WHERE entry.transcription_id = row.id AND entry.number = text.number
)
ON CONFLICT DO NOTHING
"""
# One vector for title and text, with the stop words removed: the column that search used before.
FILL_COLUMN = """
UPDATE transcriptions_transcription row
SET search = setweight(to_tsvector(dictionary::regconfig, title), 'A')
    || setweight(to_tsvector(dictionary::regconfig, coalesce(text, '')), 'B')
FROM (
    SELECT id, transcriptions_dictionary(language) AS dictionary,
        (SELECT string_agg(text, ' ' ORDER BY number)
         FROM transcriptions_segment WHERE transcription_id = row.id) AS text
    FROM transcriptions_transcription row
) AS whole
WHERE row.id = whole.id AND row.id = ANY(%s)
"""


def in_batches(statement):
    def run(apps, schema_editor):
        last = "00000000-0000-0000-0000-000000000000"
        with connection.cursor() as cursor:
            while last:
                with transaction.atomic():
                    cursor.execute(NEXT, [last, BATCH])
                    ids = [transcription_id for (transcription_id,) in cursor.fetchall()]
                    cursor.execute(statement, [ids])
                last = ids[-1] if ids else None

    return run


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("transcriptions", "0020_search_entries")]
    operations = [migrations.RunPython(in_batches(FILL), in_batches(FILL_COLUMN))]
