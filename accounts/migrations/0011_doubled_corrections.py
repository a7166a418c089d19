from django.db import migrations

# Until now two who refunded at the same moment both did. Their amounts stay as they were given; only
# the first remains *the* correction, so that the next migration can say that there is one.
UNLINK = """
ALTER TABLE accounts_usagerecord DISABLE TRIGGER only_grows;
UPDATE accounts_usagerecord AS later SET corrects_id = NULL
FROM accounts_usagerecord AS first
WHERE later.corrects_id = first.corrects_id AND later.id > first.id;
ALTER TABLE accounts_usagerecord ENABLE TRIGGER only_grows;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_token_name")]
    operations = [migrations.RunSQL(UNLINK, migrations.RunSQL.noop)]
