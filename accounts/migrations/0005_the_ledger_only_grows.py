from django.db import migrations

FORBID = """
CREATE FUNCTION accounts_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME;
END $$;
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON accounts_usagerecord
    FOR EACH ROW EXECUTE FUNCTION accounts_only_grows();
"""
ALLOW = """
DROP TRIGGER only_grows ON accounts_usagerecord;
DROP FUNCTION accounts_only_grows();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_plans_and_ledger")]
    operations = [migrations.RunSQL(FORBID, ALLOW)]
