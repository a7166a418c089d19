import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

# The text search configurations of PostgreSQL by language code. All other languages use `simple`,
# which finds words only as they are written.
DICTIONARIES = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil",
    "tr": "turkish", "yi": "yiddish",
}  # fmt: skip

# Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese.
UNSPACED = (
    r"\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)

# Copies of PostgreSQL's configurations that keep the stop words, so that "to be or not to be" is
# found by the index.
WITH_STOP_WORDS = "".join(
    f"""
CREATE TEXT SEARCH DICTIONARY transcriptions_{name}_stem (TEMPLATE = snowball, Language = {name});
CREATE TEXT SEARCH CONFIGURATION transcriptions_{name} (COPY = pg_catalog.{name});
"""
    for name in DICTIONARIES.values()
) + "".join(
    f"""
ALTER TEXT SEARCH CONFIGURATION transcriptions_{name}
    ALTER MAPPING REPLACE {stem}_stem WITH transcriptions_{stem}_stem;
"""
    for name in DICTIONARIES.values()
    for stem in sorted({name, "english"})  # Latin words in languages with another script
)
DROP_WITH_STOP_WORDS = "".join(
    f"DROP TEXT SEARCH {kind};\n"
    for suffix, kinds in (("", "CONFIGURATION"), ("_stem", "DICTIONARY"))
    for kind in (f"{kinds} transcriptions_{name}{suffix}" for name in DICTIONARIES.values())
)

# About 50 entries for each recording. PostgreSQL's own estimate is much too low, because a sample of
# pages finds many entries of few recordings; then it looks each recording up in the index of words.
STATISTICS = """
ALTER TABLE transcriptions_searchentry ALTER COLUMN transcription_id SET (n_distinct = -0.02)
"""

FUNCTIONS = rf"""
CREATE FUNCTION transcriptions_dictionary(language text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE language
        {" ".join(f"WHEN '{code}' THEN '{name}'" for code, name in DICTIONARIES.items())}
        ELSE 'simple' END;

-- With the stop words of the language.
CREATE FUNCTION transcriptions_full_dictionary(dictionary text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE dictionary WHEN 'simple' THEN '' ELSE 'transcriptions_' END || dictionary;

-- In scripts without spaces between words, each character is a word.
CREATE FUNCTION transcriptions_separate_words(text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(text, '([{UNSPACED}])', ' \1 ', 'g');

-- A lexeme that is in every vector of this owner in this dictionary, and in no text, because it
-- has a space. The index finds what has it and the words of a query, without those of other owners.
CREATE FUNCTION transcriptions_search_scope(owner_id bigint, language text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN owner_id || ' ' || transcriptions_dictionary(language);

CREATE FUNCTION transcriptions_search_vector(owner_id bigint, language text, text text)
    RETURNS tsvector LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_tsvector(
        transcriptions_full_dictionary(transcriptions_dictionary(language))::regconfig,
        transcriptions_separate_words(text)
    ) || array_to_tsvector(ARRAY[transcriptions_search_scope(owner_id, language)]);
"""
DROP_FUNCTIONS = """
DROP FUNCTION transcriptions_search_vector(bigint, text, text);
DROP FUNCTION transcriptions_search_scope(bigint, text);
DROP FUNCTION transcriptions_separate_words(text);
DROP FUNCTION transcriptions_full_dictionary(text);
DROP FUNCTION transcriptions_dictionary(text);
"""

TRIGGERS = """
CREATE FUNCTION transcriptions_index_segment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transcriptions_searchentry (transcription_id, number, vector)
    SELECT id, NEW.number, transcriptions_search_vector(owner_id, language, NEW.text)
    FROM transcriptions_transcription WHERE id = NEW.transcription_id
    ON CONFLICT (transcription_id, number) DO UPDATE SET vector = EXCLUDED.vector;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new_segment AFTER INSERT ON transcriptions_segment
    FOR EACH ROW EXECUTE FUNCTION transcriptions_index_segment();
CREATE TRIGGER index_corrected_segment AFTER UPDATE OF text ON transcriptions_segment
    FOR EACH ROW WHEN (OLD.text IS DISTINCT FROM NEW.text)
    EXECUTE FUNCTION transcriptions_index_segment();

CREATE FUNCTION transcriptions_index_title() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transcriptions_searchentry (transcription_id, number, vector)
    VALUES (NEW.id, 0, transcriptions_search_vector(NEW.owner_id, NEW.language, NEW.title))
    ON CONFLICT (transcription_id, number) DO UPDATE SET vector = EXCLUDED.vector;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new_title AFTER INSERT ON transcriptions_transcription
    FOR EACH ROW EXECUTE FUNCTION transcriptions_index_title();
CREATE TRIGGER index_changed_title
    AFTER UPDATE OF title, language, owner_id ON transcriptions_transcription
    FOR EACH ROW WHEN ((OLD.title, OLD.language, OLD.owner_id)
        IS DISTINCT FROM (NEW.title, NEW.language, NEW.owner_id))
    EXECUTE FUNCTION transcriptions_index_title();

CREATE FUNCTION transcriptions_index_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transcriptions_searchentry (transcription_id, number, vector)
    SELECT NEW.id, number, transcriptions_search_vector(NEW.owner_id, NEW.language, text)
    FROM transcriptions_segment WHERE transcription_id = NEW.id
    ON CONFLICT (transcription_id, number) DO UPDATE SET vector = EXCLUDED.vector;
    RETURN NULL;
END $$;
CREATE TRIGGER index_again AFTER UPDATE OF language, owner_id ON transcriptions_transcription
    FOR EACH ROW WHEN ((OLD.language, OLD.owner_id) IS DISTINCT FROM (NEW.language, NEW.owner_id))
    EXECUTE FUNCTION transcriptions_index_again();
"""
DROP_TRIGGERS = """
DROP TRIGGER index_new_segment ON transcriptions_segment;
DROP TRIGGER index_corrected_segment ON transcriptions_segment;
DROP TRIGGER index_new_title ON transcriptions_transcription;
DROP TRIGGER index_changed_title ON transcriptions_transcription;
DROP TRIGGER index_again ON transcriptions_transcription;
DROP FUNCTION transcriptions_index_segment();
DROP FUNCTION transcriptions_index_title();
DROP FUNCTION transcriptions_index_again();
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0019_narrow_transcription")]
    operations = [
        migrations.CreateModel(
            name="SearchEntry",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "transcription_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "transcription",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="search_entries",
                        to="transcriptions.transcription",
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("vector", django.contrib.postgres.search.SearchVectorField()),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["vector"], name="search_vector"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="transcription",
            index=models.Index(fields=["owner", "language"], name="owner_language"),
        ),
        migrations.RunSQL(STATISTICS, migrations.RunSQL.noop),
        migrations.RunSQL(WITH_STOP_WORDS, DROP_WITH_STOP_WORDS),
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        migrations.RunSQL(TRIGGERS, DROP_TRIGGERS),
    ]
