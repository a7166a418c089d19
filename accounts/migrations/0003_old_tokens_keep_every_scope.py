from django.db import migrations

ALL_SCOPES = ["transcriptions:read", "transcriptions:write", "usage:read"]


def grant_all_scopes(apps, schema_editor):
    apps.get_model("accounts", "ApiToken").objects.filter(scopes=[]).update(scopes=ALL_SCOPES)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_token_scopes")]
    operations = [migrations.RunPython(grant_all_scopes, migrations.RunPython.noop)]
