from django.db import migrations

# Titles of recordings, and email addresses of administrators and invited people, were copied into
# the logs, where they stayed after the recording or the account was deleted.
ERASE = """
ALTER TABLE accounts_auditevent DISABLE TRIGGER USER;
UPDATE accounts_auditevent SET detail = '' WHERE action IN ('deleted', 'exported', 'admin');
WITH deleted AS MATERIALIZED (  -- once: each account gets one pseudonym
    SELECT user_id, gen_random_uuid() AS pseudonym FROM accounts_auditevent
    WHERE user_id NOT IN (SELECT id FROM accounts_user) GROUP BY user_id
)
UPDATE accounts_auditevent AS event
    SET user_id = NULL, pseudonym = deleted.pseudonym, detail = '', address = NULL
    FROM deleted WHERE event.user_id = deleted.user_id;
ALTER TABLE accounts_auditevent ENABLE TRIGGER USER;
ALTER TABLE accounts_usagerecord DISABLE TRIGGER USER;
UPDATE accounts_usagerecord SET reason = 'Refunded by an administrator.'
    WHERE outcome = 'correction' AND reason LIKE 'Refunded by %@%';
ALTER TABLE accounts_usagerecord ENABLE TRIGGER USER;
UPDATE django_admin_log SET object_repr = COALESCE(object_id, '');
"""
# What was erased cannot come back. Before, each event had to have a user.
RESTORE = """
ALTER TABLE accounts_auditevent DISABLE TRIGGER USER;
UPDATE accounts_auditevent SET user_id = 0 WHERE user_id IS NULL;
ALTER TABLE accounts_auditevent ENABLE TRIGGER USER;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0026_erasure_of_audit_events"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]
    operations = [migrations.RunSQL(ERASE, RESTORE)]
