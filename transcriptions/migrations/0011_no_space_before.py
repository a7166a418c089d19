from django.db import migrations

# As text: in JSON a quotation mark within a word is escaped, so that only keys match.
RENAME = """
UPDATE transcriptions_segment
SET words = replace(words::text, '"{old}": true', '"{new}": true')::jsonb
WHERE words::text LIKE '%"{old}": true%';
"""


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0010_step_started_at")]
    operations = [
        migrations.RunSQL(
            RENAME.format(old="glued", new="no_space_before"),
            RENAME.format(old="no_space_before", new="glued"),
        )
    ]
