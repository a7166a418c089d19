from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

FINISHED = ("completed", "failed", "cancelled")


def forget(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Prepared audio of finished recordings is no longer kept. The periodic deletion of orphaned
    files deletes the files, which no row names any more."""
    rows = apps.get_model("transcriptions", "Transcription").objects
    rows.filter(state__in=FINISHED).exclude(audio="").update(audio="")


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0011_no_space_before")]
    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
