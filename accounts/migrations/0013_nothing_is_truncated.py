from django.db import migrations

TABLES = ("accounts_usagerecord", "accounts_auditevent")
FORBID = """
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {}
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_only_grows();
"""
ALLOW = "DROP TRIGGER never_emptied ON {};"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_corrected_once")]
    operations = [migrations.RunSQL(FORBID.format(name), ALLOW.format(name)) for name in TABLES]
