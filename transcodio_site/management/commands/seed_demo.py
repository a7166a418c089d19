"""`manage.py seed_demo`: accounts and usage as they might be, so that charts have a shape."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from accounts import ledger
from accounts.ledger import Outcome, UsageRecord
from accounts.models import ApiToken, Plan, User
from gpu import pricing

DOMAIN = "seeded.example"
PLANS: dict[str, dict[str, int | None]] = {
    "Free": {"monthly_minutes": 60, "max_file_mb": 200, "max_minutes": 30, "max_jobs": 1},
    "Studio": {"monthly_minutes": 1200, "max_jobs": 5, "price_cents": 1900},
    "Company": {"monthly_minutes": 12_000, "max_jobs": 20, "price_cents": 14_900},
}
SHARES = (70, 25, 5)  # of the accounts, in percent
JOBS_A_DAY = {"Free": 0.3, "Studio": 2.0, "Company": 12.0}
RTFX = 48.0  # the engine's speed in these stories; not a measurement


class Command(BaseCommand):
    help = "Fills an installation with believable accounts and usage. For demonstrations only."

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument("--users", type=int, default=50)
        parser.add_argument("--days", type=int, default=90)
        parser.add_argument("--seed", type=int, default=7, help="the same seed, the same stories")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError where it has been run already."""
        if User.objects.filter(email__endswith=f"@{DOMAIN}").exists():
            raise CommandError("This installation has been seeded already.")
        chance = random.Random(options["seed"])  # noqa: S311 - stories, not secrets
        with transaction.atomic():
            users = _users(options["users"], chance)
            records = [
                record
                for user, token in users
                for record in _story(user, token, options["days"], chance)
            ]
            ledger.write(records)
        self.stdout.write(f"{len(users)} users and {len(records)} records of the ledger.")


def _users(count: int, chance: random.Random) -> list[tuple[User, ApiToken]]:
    plans = [Plan.objects.get_or_create(name=name, defaults=PLANS[name])[0] for name in PLANS]
    users = []
    for number, plan in enumerate(chance.choices(plans, SHARES, k=count), 1):
        user = User.objects.create_user(f"user{number:03}@{DOMAIN}", plan=plan)
        users.append((user, ApiToken.issue(user, "Program")[0]))
    return users


def _story(user: User, token: ApiToken, days: int, chance: random.Random) -> Iterator[UsageRecord]:
    """What one user did: more on weekdays, more as time goes by, a little of it failing."""
    plan = user.terms.name
    now = timezone.now()
    joined = chance.randrange(days) if plan == "Free" else chance.randrange(days // 2 + 1)
    for number in range(joined, days):
        day = now - timedelta(days=days - 1 - number)
        busy = JOBS_A_DAY[plan] * (0.3 if day.weekday() >= 5 else 1.0) * (0.5 + number / days)
        for _ in range(int(busy) + (chance.random() < busy % 1)):
            hour = min(23, max(0, round(chance.gauss(14, 4))))
            moment = min(now, day.replace(hour=hour, minute=chance.randrange(60)))
            yield _job(user, token, moment, chance)


def _job(user: User, token: ApiToken, moment: datetime, chance: random.Random) -> UsageRecord:
    audio_ms = int(1000 * min(7200.0, chance.lognormvariate(6.0, 0.9)))
    record = UsageRecord(
        user=user,
        token=token if chance.random() < 0.6 else None,
        transcription=uuid.UUID(int=chance.getrandbits(128), version=4),
        created_at=moment,
        engine="modal",
        model="kyutai/stt-2.6b-en-trfs",
        outcome=Outcome.COMPLETED,
        reason="Seeded.",
    )
    if chance.random() < 0.02:
        record.outcome = Outcome.FAILED
        return record
    record.audio_ms, record.billed, record.gpu_type = audio_ms, True, "L4"
    record.decode_ms = int(audio_ms / RTFX * chance.uniform(0.8, 1.3))
    record.queue_ms = int(chance.expovariate(1 / 800))
    record.load_ms = int(chance.uniform(6000, 14_000)) if chance.random() < 0.1 else 0
    record.nano_usd_per_second = round((pricing.usd_per_second("L4") or 0.0) * 1e9)
    return record
