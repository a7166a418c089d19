import django.contrib.postgres.search
from django.db import migrations, models

# The words of a name as they are searched for: without accents, and each character of scripts
# without spaces is a word (migration 0020).
FUNCTIONS = r"""
CREATE FUNCTION transcriptions_plain_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN transcriptions_separate_words(normalize(regexp_replace(
        normalize(translate(name, 'łŁøØđĐı', 'lLoOdDi'), NFKD), '[\u0300-\u036f]', '', 'g'
    ), NFC));

CREATE FUNCTION transcriptions_name_words(name text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN to_tsvector('simple', transcriptions_plain_name(name));
"""
DROP_FUNCTIONS = """
DROP FUNCTION transcriptions_name_words(text);
DROP FUNCTION transcriptions_plain_name(text);
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0038_diarization_jobs")]
    operations = [
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        migrations.AddField(
            model_name="speaker",
            name="name_words",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Func(models.F("name"), function="transcriptions_name_words"),
                output_field=django.contrib.postgres.search.SearchVectorField(),
            ),
        ),
    ]
