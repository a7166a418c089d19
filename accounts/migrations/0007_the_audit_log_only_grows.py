from django.db import migrations

FORBID = """
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_only_grows();
"""
ALLOW = "DROP TRIGGER only_grows ON accounts_auditevent;"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_retention_audit_mail")]
    operations = [migrations.RunSQL(FORBID, ALLOW)]
