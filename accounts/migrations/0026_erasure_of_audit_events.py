from django.db import migrations

# Rows are deleted only if they are older than a time that the transaction names, and changed only
# in a transaction that asks for it, and only by removing data.
GUARD = """
CREATE FUNCTION accounts_guard_audit_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.created_at < NULLIF(
            current_setting('transcodio.audit_events_expired_before', true), ''
        )::timestamptz THEN
            RETURN OLD;
        END IF;
    ELSIF current_setting('transcodio.audit_event_erasure', true) = 'on'
        AND (NEW.id, NEW.created_at, NEW.action) = (OLD.id, OLD.created_at, OLD.action)
        AND NEW.detail IN ('', OLD.detail)
        AND (NEW.address IS NULL OR NEW.address = OLD.address)
        AND (NEW.recording IS NULL OR NEW.recording = OLD.recording)
        AND (NEW.user_id IS NULL OR NEW.user_id = OLD.user_id)
        AND (NEW.actor_id IS NULL OR NEW.actor_id = OLD.actor_id)
        AND (OLD.pseudonym IS NULL OR NEW.pseudonym = OLD.pseudonym)
        AND (OLD.actor_pseudonym IS NULL OR NEW.actor_pseudonym = OLD.actor_pseudonym)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME;
END $$;
DROP TRIGGER only_grows ON accounts_auditevent;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_guard_audit_events();
"""
FORBID = """
DROP TRIGGER guard ON accounts_auditevent;
DROP FUNCTION accounts_guard_audit_events();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_only_grows();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0025_audit_retention")]
    operations = [migrations.RunSQL(GUARD, FORBID)]
