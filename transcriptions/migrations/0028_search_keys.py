import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

# What the index looks up: hashes of the words of an entry. Words of another owner or dictionary (the
# scope, which is the lexeme without positions) have another hash, so that a search reads nothing of
# other accounts. The keys of an owner are in a row, in the same pages of the index. Different words
# may have the same key. With its real cost, PostgreSQL would look up a word in the index for each
# recording again rather than check the entries of that recording.
FUNCTION = """
CREATE FUNCTION transcriptions_search_keys(vector tsvector) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1
BEGIN ATOMIC
    WITH words AS MATERIALIZED (SELECT lexeme, positions FROM unnest(vector))
    SELECT array_agg(
        (split_part(scope.lexeme, ' ', 1)::bigint << 32)
        + hashtext(scope.lexeme || ' ' || words.lexeme)
    )
    FROM words, words AS scope WHERE scope.positions IS NULL;
END;
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0026_direct_uploads")]
    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION transcriptions_search_keys(tsvector)"),
        migrations.RemoveIndex(model_name="searchentry", name="search_vector"),
        migrations.AddIndex(
            model_name="searchentry",
            index=django.contrib.postgres.indexes.GinIndex(
                models.Func(
                    models.F("vector"),
                    function="transcriptions_search_keys",
                    output_field=django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None
                    ),
                ),
                fastupdate=False,
                name="search_keys",
            ),
        ),
    ]
