from collections import Counter

from django.db import migrations


def assign_turns(apps, schema_editor):
    """As if everything that waits now had just been queued, the oldest of each account first."""
    Transcription = apps.get_model("transcriptions", "Transcription")
    AccountQueue = apps.get_model("transcriptions", "AccountQueue")
    next_start = Counter()
    waiting = Transcription.objects.filter(state__in=("queued", "prepared"))
    rows = waiting.order_by("created_at", "id").values_list("id", "owner_id", "priority")
    for transcription_id, owner_id, priority in rows.iterator():
        start = next_start[owner_id, priority]
        waiting.filter(id=transcription_id).update(virtual_start=start)
        next_start[owner_id, priority] += 1
    AccountQueue.objects.bulk_create(
        AccountQueue(owner_id=owner_id, priority=priority, next_start=start)
        for (owner_id, priority), start in next_start.items()
    )


class Migration(migrations.Migration):
    dependencies = [("transcriptions", "0024_turns")]
    operations = [migrations.RunPython(assign_turns, migrations.RunPython.noop)]
