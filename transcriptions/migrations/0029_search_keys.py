import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

# What the index looks up: hashes of the words of an entry. Words of another owner or dictionary (the
# scope, which is the lexeme without positions) have another hash, so that a search reads nothing of
# other accounts. The keys of an owner are in a row, in the same pages of the index. Different words
# may have the same key.
#
# Two short words in a row have a key of their own, for phrases of words that are in most entries:
# frequent words are short in all languages, and characters of scripts without spaces are words.
#
# With its real cost, PostgreSQL would look up a word in the index for each recording again rather
# than check the entries of that recording.
FUNCTION = """
CREATE FUNCTION transcriptions_search_keys(vector tsvector) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1 AS $$
DECLARE
    scope text;
    first_key bigint;
    word text;
    places smallint[];
    place integer;
    short text[];
    keys bigint[];
BEGIN
    FOR word, places IN
        SELECT lexeme, positions FROM unnest(vector) ORDER BY positions IS NOT NULL
    LOOP
        IF places IS NULL THEN
            scope := word || ' ';
            first_key := split_part(word, ' ', 1)::bigint << 32;
        ELSIF length(word) <= 3 THEN
            FOREACH place IN ARRAY places LOOP
                short[place] := word;
            END LOOP;
        END IF;
        keys := keys || (first_key + hashtext(scope || word));
    END LOOP;
    FOR place IN coalesce(array_lower(short, 1), 1) .. coalesce(array_upper(short, 1), 1) - 1 LOOP
        IF short[place] IS NOT NULL AND short[place + 1] IS NOT NULL THEN
            keys := keys || (first_key + hashtext(scope || short[place] || ' ' || short[place + 1]));
        END IF;
    END LOOP;
    RETURN keys;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0028_tracks")]
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
