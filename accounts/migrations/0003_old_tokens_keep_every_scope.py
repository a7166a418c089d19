from django.db import migrations

EVERY = ["transcriptions:read", "transcriptions:write", "usage:read"]


def keep(apps, schema_editor):
    apps.get_model("accounts", "ApiToken").objects.filter(scopes=[]).update(scopes=EVERY)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_token_scopes")]
    operations = [migrations.RunPython(keep, migrations.RunPython.noop)]
