from django.db import migrations

FORBID = """
CREATE FUNCTION accounts_ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger only grows: add a correction instead';
END $$;
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON accounts_usagerecord
    FOR EACH ROW EXECUTE FUNCTION accounts_ledger_only_grows();
"""
ALLOW = """
DROP TRIGGER only_grows ON accounts_usagerecord;
DROP FUNCTION accounts_ledger_only_grows();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_plans_and_ledger")]
    operations = [migrations.RunSQL(FORBID, ALLOW)]
