from django.core.validators import MinValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0027_erase_names_from_logs")]
    operations = [
        migrations.AddField(
            model_name="plan",
            name="queue_weight",
            field=models.PositiveSmallIntegerField(
                db_default=1,
                default=1,
                help_text="With 2, accounts get twice as many turns as with 1",
                validators=[MinValueValidator(1)],
                verbose_name="weight in the queue",
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(queue_weight__gte=1), name="plan_has_queue_weight"
            ),
        ),
    ]
