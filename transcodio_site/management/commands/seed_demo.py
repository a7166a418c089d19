"""`manage.py seed_demo`: creates realistic demo accounts and usage, to see charts with data."""

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
from django.utils.formats import date_format

from accounts.models import Action, ApiToken, AuditEvent, Outcome, Plan, UsageRecord, User
from accounts.tokens import issue_token
from accounts.usage import ledger
from gpu import pricing
from transcriptions.models import Phase, Segment, State, Transcription, record_step

DOMAIN = "seeded.example"
PLANS: dict[str, dict[str, int | None]] = {
    "Free": {
        "monthly_minutes": 60,
        "max_file_mb": 200,
        "max_minutes": 30,
        "max_storage_mb": 2048,
        "max_jobs": 1,
    },
    "Studio": {
        "monthly_minutes": 1200,
        "max_minutes": 120,
        "max_storage_mb": 51_200,
        "max_jobs": 5,
        "price_cents": 1900,
    },
    "Company": {"monthly_minutes": 12_000, "max_jobs": 20, "price_cents": 14_900},
}
PLAN_WEIGHTS = (70, 25, 5)  # percent of the accounts
JOBS_PER_DAY = {"Free": 0.3, "Studio": 2.0, "Company": 12.0}
RTFX = {"modal": 48.0, "whisper": 7.0}  # assumed speed of the engines, not measured
MODELS = {"modal": "stt-2.6b-en-trfs", "whisper": "whisper-base"}
# Shares of all attempts, from 0 to 1.
FAILED_SHARE, CANCELLED_SHARE, CPU_SHARE, REFUND_SHARE, RETRY_SHARE = 0.02, 0.02, 0.15, 0.01, 0.03
RECORDINGS_PER_USER = 3  # the newest ones, with a transcript
SENTENCES = (
    "Good morning, everybody, and thank you for coming.",
    "Before we begin, a word about the minutes of the last meeting.",
    "They were sent out on Tuesday, and nobody has asked for a change.",
)


class Command(BaseCommand):
    help = "Creates realistic demo accounts and usage. For demonstrations only."

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("--users", type=int, default=50)
        parser.add_argument("--days", type=int, default=90)
        parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same data")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError if demo data exists."""
        if User.objects.filter(email__endswith=f"@{DOMAIN}").exists():
            raise CommandError("Demo data already exists.")
        rng = random.Random(options["seed"])  # noqa: S311 - demo data, not secrets
        with transaction.atomic():
            users = [*_users(options["users"], options["days"], rng)]
            by_user = [[*_usage_records(*user, rng)] for user in users]
            records = [record for user_records in by_user for record in user_records]
            ledger.write_records(records)
            for user_records in by_user:
                for attempts in _by_recording(user_records)[-RECORDINGS_PER_USER:]:
                    _create_recording(attempts, rng)
            _refund_some(records, rng)
            _record_sign_ins([user for user, _ in users])
        self.stdout.write(f"Created {len(users)} users and {len(records)} usage records.")


def _users(count: int, days: int, rng: random.Random) -> Iterator[tuple[User, ApiToken]]:
    plans = [Plan.objects.get_or_create(name=name, defaults=PLANS[name])[0] for name in PLANS]
    for number, plan in enumerate(rng.choices(plans, PLAN_WEIGHTS, k=count), 1):
        newest = days if plan.name == "Free" else days // 2 + 1  # paying users joined earlier
        joined = timezone.now() - timedelta(days=days - 1 - rng.randrange(newest))
        email = f"user{number:03}@{DOMAIN}"
        user = User.objects.create_user(email, plan=plan, date_joined=joined)
        yield user, issue_token(user, "Program")[0]


def _usage_records(user: User, token: ApiToken, rng: random.Random) -> Iterator[UsageRecord]:
    """The usage of one user: more on weekdays, growing over time, within the quota of the plan."""
    plan, now = user.effective_plan, timezone.now()
    used_ms: Counter[tuple[int, int]] = Counter()  # by year and month
    days = (now - user.date_joined).days + 1
    for number in range(days):
        day = user.date_joined + timedelta(days=number)
        jobs = (
            JOBS_PER_DAY[plan.name] * (0.3 if day.weekday() >= 5 else 1.0) * (0.5 + number / days)
        )
        for _ in range(int(jobs) + (rng.random() < jobs % 1)):
            hour = min(23, max(0, round(rng.gauss(14, 4))))
            moment = day.replace(hour=hour, minute=rng.randrange(60))
            moment = min(now, max(user.date_joined, moment))
            record = _attempt(user, token, moment, rng)
            month = (moment.year, moment.month)
            if used_ms[month] + record.audio_ms <= (plan.monthly_minutes or 0) * 60_000:
                used_ms[month] += record.audio_ms
                if record.outcome == Outcome.COMPLETED and rng.random() < RETRY_SHARE:
                    yield _failed_attempt(user, record, rng)
                yield record


def _by_recording(records: list[UsageRecord]) -> list[list[UsageRecord]]:
    return [[*attempts] for _, attempts in groupby(records, key=lambda r: r.transcription)]


def _attempt(user: User, token: ApiToken, moment: datetime, rng: random.Random) -> UsageRecord:
    max_ms = 60_000 * (user.effective_plan.max_minutes or 180)
    engine = "whisper" if rng.random() < CPU_SHARE else "modal"
    record = UsageRecord(
        user=user,
        token=token if rng.random() < 0.6 else None,
        transcription=uuid.UUID(int=rng.getrandbits(128), version=4),
        created_at=moment,
        engine=engine,
        model=MODELS[engine],
        outcome=Outcome.COMPLETED,
        reason="Completed.",
    )
    draw = rng.random()
    if draw < FAILED_SHARE:
        record.outcome = Outcome.FAILED
        record.reason = "Failed (corrupt_media). Not charged."
        return record
    record.audio_ms = int(min(max_ms, 1000 * rng.lognormvariate(6.0, 0.9)))
    record.billed = True
    if draw < FAILED_SHARE + CANCELLED_SHARE:
        record.outcome = Outcome.CANCELLED
        record.reason = "Cancelled. Charged for the part processed."
        record.audio_ms = int(record.audio_ms * rng.random())
    record.decode_ms = int(record.audio_ms / RTFX[engine] * rng.uniform(0.8, 1.3))
    record.queue_ms = int(rng.expovariate(1 / 800))
    if engine == "modal":
        record.gpu_type = "L4"
        record.load_ms = int(rng.uniform(6000, 14_000)) if rng.random() < 0.1 else 0
        record.nano_usd_per_second = round((pricing.usd_per_second("L4") or 0.0) * 1e9)
    return record


def _failed_attempt(user: User, record: UsageRecord, rng: random.Random) -> UsageRecord:
    """A failed attempt before `record`."""
    before = timedelta(seconds=record.load_seconds + record.decode_seconds + rng.uniform(20, 60))
    return UsageRecord(
        user=user,
        token=record.token,
        transcription=record.transcription,
        created_at=max(user.date_joined, record.created_at - before),
        engine=record.engine,
        model=record.model,
        gpu_type=record.gpu_type,
        nano_usd_per_second=record.nano_usd_per_second,
        decode_ms=int(record.decode_ms * rng.uniform(0.2, 0.8)),
        outcome=Outcome.FAILED,
        reason="Failed (out_of_memory). Not charged.",
    )


def _create_recording(attempts: list[UsageRecord], rng: random.Random) -> None:
    """Create the recording of these attempts and its history, without audio."""
    record = attempts[-1]
    seconds = max(record.audio_seconds, 1.0)
    row = Transcription.objects.create(
        id=record.transcription,
        owner_id=record.user_id,
        token_id=record.token_id,
        title=f"Meeting, {date_format(record.created_at, 'DATE_FORMAT')}",
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
    _create_history(row, attempts, rng)


def _create_history(row: Transcription, attempts: list[UsageRecord], rng: random.Random) -> None:
    """Create the history; the start of each phase is computed backwards from the time in the
    ledger."""
    completed_at = moment = attempts[-1].created_at
    steps = [(Phase(row.state), "", completed_at)]
    for phase, seconds, detail in reversed([*_phases(attempts, rng)]):
        moment -= timedelta(seconds=seconds)
        steps.insert(0, (phase, detail, moment))
    Transcription.objects.filter(id=row.id).update(created_at=moment, completed_at=completed_at)
    for phase, detail, started_at in steps:
        record_step(row, phase, detail, at=started_at)


def _phases(attempts: list[UsageRecord], rng: random.Random) -> Iterator[tuple[Phase, float, str]]:
    """The phases before the end: phase, duration in seconds, and detail."""
    yield Phase.UPLOAD, rng.uniform(0.5, 8), ""
    yield Phase.QUEUE, rng.uniform(0.05, 1), ""
    yield Phase.PREPROCESS, attempts[-1].audio_seconds / 150 + 0.3, ""
    for previous, record in zip([None, *attempts], attempts, strict=False):
        wait_s, startup_s = rng.uniform(0.05, 1), record.load_seconds + record.queue_seconds + 0.1
        if previous:
            interval_s = (record.created_at - previous.created_at).total_seconds()
            failed_s = max(0.0, interval_s - wait_s - startup_s - record.decode_seconds)
            yield Phase.FAILED, failed_s, "out_of_memory"
        yield Phase.READY, wait_s, "Resumed" if previous else ""
        yield Phase.ENGINE, startup_s, ""
        yield Phase.DECODE, record.decode_seconds, f"{record.engine}: {record.model}"


def _refund_some(records: list[UsageRecord], rng: random.Random) -> None:
    for record in records:
        if record.billed and rng.random() < REFUND_SHARE:
            ledger.correct(record, "Refunded: the audio quality was too low.")


def _record_sign_ins(users: list[User]) -> None:
    AuditEvent.objects.bulk_create(
        AuditEvent(
            user=user, action=Action.SIGNED_IN, created_at=user.date_joined, address="203.0.113.7"
        )
        for user in users
    )
