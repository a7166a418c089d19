"""`manage.py seed_demo`: accounts and usage as they might be, so that charts have a shape."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from accounts.models import Action, ApiToken, AuditEvent, Outcome, Plan, UsageRecord, User
from accounts.tokens import issue_token
from accounts.usage import ledger
from gpu import pricing
from transcriptions.indexing.search import index_transcription
from transcriptions.models import Phase, Segment, State, Transcription, record_step

DOMAIN = "seeded.example"
PLANS: dict[str, dict[str, int | None]] = {
    "Free": {"monthly_minutes": 60, "max_file_mb": 200, "max_minutes": 30, "max_jobs": 1},
    "Studio": {"monthly_minutes": 1200, "max_minutes": 120, "max_jobs": 5, "price_cents": 1900},
    "Company": {"monthly_minutes": 12_000, "max_jobs": 20, "price_cents": 14_900},
}
SHARES = (70, 25, 5)  # of the accounts, in percent
JOBS_A_DAY = {"Free": 0.3, "Studio": 2.0, "Company": 12.0}
RTFX = {"modal": 48.0, "whisper": 7.0}  # the engines' speed in these stories; not a measurement
MODELS = {"modal": "stt-2.6b-en-trfs", "whisper": "whisper-base"}
# Shares of all attempts.
FAILED, CANCELLED, ON_THE_CPU, REFUNDED, AT_SECOND_TRY = 0.02, 0.02, 0.15, 0.01, 0.03
IN_THE_LIBRARY = 3  # the newest recordings of an account, with their words
SENTENCES = (
    "Good morning, everybody, and thank you for coming.",
    "Before we begin, a word about the minutes of the last meeting.",
    "They were sent round on Tuesday, and nobody has asked for a change.",
)


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
            users = [*_users(options["users"], options["days"], chance)]
            stories = [[*_story(*user, chance)] for user in users]
            records = [record for story in stories for record in story]
            ledger.write_records(records)
            for story in stories:
                for attempts in _by_recording(story)[-IN_THE_LIBRARY:]:
                    _recording(attempts, chance)
            _afterwards([user for user, _ in users], records, chance)
        self.stdout.write(f"{len(users)} users and {len(records)} records of the ledger.")


def _users(count: int, days: int, chance: random.Random) -> Iterator[tuple[User, ApiToken]]:
    plans = [Plan.objects.get_or_create(name=name, defaults=PLANS[name])[0] for name in PLANS]
    for number, plan in enumerate(chance.choices(plans, SHARES, k=count), 1):
        newest = days if plan.name == "Free" else days // 2 + 1  # who pays has been there longer
        joined = timezone.now() - timedelta(days=days - 1 - chance.randrange(newest))
        email = f"user{number:03}@{DOMAIN}"
        user = User.objects.create_user(email, plan=plan, date_joined=joined)
        yield user, issue_token(user, "Program")[0]


def _story(user: User, token: ApiToken, chance: random.Random) -> Iterator[UsageRecord]:
    """What one user did: more on weekdays, more as time goes by, and no more than the plan has."""
    plan, now = user.effective_plan, timezone.now()
    left: Counter[tuple[int, int]] = Counter()  # ms that were used in a month
    days = (now - user.date_joined).days + 1
    for number in range(days):
        day = user.date_joined + timedelta(days=number)
        busy = JOBS_A_DAY[plan.name] * (0.3 if day.weekday() >= 5 else 1.0) * (0.5 + number / days)
        for _ in range(int(busy) + (chance.random() < busy % 1)):
            hour = min(23, max(0, round(chance.gauss(14, 4))))
            moment = day.replace(hour=hour, minute=chance.randrange(60))
            moment = min(now, max(user.date_joined, moment))
            record = _attempt(user, token, moment, chance)
            month = (moment.year, moment.month)
            if left[month] + record.audio_ms <= (plan.monthly_minutes or 0) * 60_000:
                left[month] += record.audio_ms
                if record.outcome == Outcome.COMPLETED and chance.random() < AT_SECOND_TRY:
                    yield _first_try(user, record, chance)
                yield record


def _by_recording(story: list[UsageRecord]) -> list[list[UsageRecord]]:
    return [[*attempts] for _, attempts in groupby(story, key=lambda r: r.transcription)]


def _attempt(user: User, token: ApiToken, moment: datetime, chance: random.Random) -> UsageRecord:
    longest = 60_000 * (user.effective_plan.max_minutes or 180)
    engine = "whisper" if chance.random() < ON_THE_CPU else "modal"
    record = UsageRecord(
        user=user,
        token=token if chance.random() < 0.6 else None,
        transcription=uuid.UUID(int=chance.getrandbits(128), version=4),
        created_at=moment,
        engine=engine,
        model=MODELS[engine],
        outcome=Outcome.COMPLETED,
        reason="The transcript is complete.",
    )
    lot = chance.random()
    if lot < FAILED:
        record.outcome = Outcome.FAILED
        record.reason = "It failed (corrupt_media): not charged."
        return record
    record.audio_ms = int(min(longest, 1000 * chance.lognormvariate(6.0, 0.9)))
    record.billed = True
    if lot < FAILED + CANCELLED:
        record.outcome = Outcome.CANCELLED
        record.reason = "Cancelled: charged as far as it came."
        record.audio_ms = int(record.audio_ms * chance.random())
    record.decode_ms = int(record.audio_ms / RTFX[engine] * chance.uniform(0.8, 1.3))
    record.queue_ms = int(chance.expovariate(1 / 800))
    if engine == "modal":
        record.gpu_type = "L4"
        record.load_ms = int(chance.uniform(6000, 14_000)) if chance.random() < 0.1 else 0
        record.nano_usd_per_second = round((pricing.usd_per_second("L4") or 0.0) * 1e9)
    return record


def _first_try(user: User, record: UsageRecord, chance: random.Random) -> UsageRecord:
    """An attempt before `record` that came to nothing."""
    before = timedelta(seconds=record.load_seconds + record.decode_seconds + chance.uniform(20, 60))
    return UsageRecord(
        user=user,
        token=record.token,
        transcription=record.transcription,
        created_at=max(user.date_joined, record.created_at - before),
        engine=record.engine,
        model=record.model,
        gpu_type=record.gpu_type,
        nano_usd_per_second=record.nano_usd_per_second,
        decode_ms=int(record.decode_ms * chance.uniform(0.2, 0.8)),
        outcome=Outcome.FAILED,
        reason="It failed (out_of_memory): not charged.",
    )


def _recording(attempts: list[UsageRecord], chance: random.Random) -> None:
    """The recording that they were made at, with its history; its audio is not kept any more."""
    record = attempts[-1]
    seconds = max(record.audio_seconds, 1.0)
    row = Transcription.objects.create(
        id=record.transcription,
        owner_id=record.user_id,
        token_id=record.token_id,
        title=f"Meeting of {record.created_at:%-d %B}",
        state=State(record.outcome),
        completed_at=record.created_at,
        source_bytes=int(seconds * 8000),
        duration=seconds,
        language="en",
        engine=record.engine,
        model=record.model,
        format="mp3",
        decode_seconds=record.decode_seconds,
        speech_seconds=seconds,
        error_code="" if record.outcome == Outcome.COMPLETED else record.outcome,
        error_message="" if record.outcome == Outcome.COMPLETED else record.reason,
    )
    if record.outcome != Outcome.FAILED:
        for number, text in enumerate(SENTENCES, 1):
            start = (number - 1) * seconds / len(SENTENCES)
            Segment.objects.create(
                transcription=row, number=number, start=start, end=start + 4, text=text
            )
    index_transcription(row)
    _history(row, attempts, chance)


def _history(row: Transcription, attempts: list[UsageRecord], chance: random.Random) -> None:
    """Told from the end, which the ledger knows."""
    ended = moment = attempts[-1].created_at
    steps = [(Phase(row.state), "", ended)]
    for phase, seconds, detail in reversed([*_phases(attempts, chance)]):
        moment -= timedelta(seconds=seconds)
        steps.insert(0, (phase, detail, moment))
    Transcription.objects.filter(id=row.id).update(created_at=moment, completed_at=ended)
    for phase, detail, began in steps:
        record_step(row, phase, detail, at=began)


def _phases(
    attempts: list[UsageRecord], chance: random.Random
) -> Iterator[tuple[Phase, float, str]]:
    """What it went through before it ended, with the seconds that it took."""
    yield Phase.UPLOAD, chance.uniform(0.5, 8), ""
    yield Phase.QUEUE, chance.uniform(0.05, 1), ""
    yield Phase.PREPROCESS, attempts[-1].audio_seconds / 150 + 0.3, ""
    for before, record in zip([None, *attempts], attempts, strict=False):
        wait, start = chance.uniform(0.05, 1), record.load_seconds + record.queue_seconds + 0.1
        if before:
            apart = (record.created_at - before.created_at).total_seconds()
            thought = max(0.0, apart - wait - start - record.decode_seconds)
            yield Phase.FAILED, thought, "out_of_memory"
        yield Phase.READY, wait, "Tried again" if before else ""
        yield Phase.ENGINE, start, ""
        yield Phase.DECODE, record.decode_seconds, f"{record.engine}: {record.model}"


def _afterwards(users: list[User], records: list[UsageRecord], chance: random.Random) -> None:
    """What was given back, and the audit log."""
    for record in records:
        if record.billed and chance.random() < REFUNDED:
            ledger.correct(record, "Given back: the sound was not understood well.")
    AuditEvent.objects.bulk_create(
        AuditEvent(
            user=user, action=Action.SIGNED_IN, created_at=user.date_joined, address="203.0.113.7"
        )
        for user in users
    )
