"""The table of legal transitions holds in the database, and for every module."""

from __future__ import annotations

import ast
import uuid
from itertools import product
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

import transcriptions
from transcriptions.models import FINISHED, WORKING, State, Transcription
from transcriptions.processing.lifecycle import TRANSITIONS
from transcriptions.testing import set_state

PACKAGE = Path(transcriptions.__file__).parent
NOT_SOURCE = {"tests", "migrations", "testing.py", "conftest.py"}
SOURCES = [
    path
    for app in (PACKAGE, PACKAGE.parent / "accounts", PACKAGE.parent / "transcodio_site")
    for path in sorted(app.rglob("*.py"))
    if NOT_SOURCE.isdisjoint(path.relative_to(PACKAGE.parent).parts)
]


def fields_of(state: State) -> dict[str, object]:
    return {
        "state": state,
        "completed_at": timezone.now() if state in FINISHED else None,
        "lease": uuid.uuid4() if state in WORKING else None,
    }


# --- The database -------------------------------------------------------------------------------


def test_table_has_a_row_for_every_state() -> None:
    assert set(TRANSITIONS) == set(State)
    assert not any(state in targets for state, targets in TRANSITIONS.items())


@pytest.mark.covers("fault", "Code tries an illegal transition of a recording")
@pytest.mark.django_db
@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_trigger_accepts_exactly_the_transitions_of_the_table(
    prepared: Transcription, old: State, new: State
) -> None:
    set_state(old)
    rows = Transcription.objects.filter(id=prepared.id)
    legal = new == old or new in TRANSITIONS[old]
    if legal:
        assert rows.update(**fields_of(new)) == 1
    else:
        with (
            transaction.atomic(),
            pytest.raises(IntegrityError, match=f"illegal transition from {old} to {new}"),
        ):
            rows.update(**fields_of(new))
    assert rows.get().state == (new if legal else old)


@pytest.mark.django_db
@pytest.mark.parametrize("state", State)
def test_completed_at_is_set_exactly_in_finished_states(
    prepared: Transcription, state: State
) -> None:
    set_state(state)
    invalid = None if state in FINISHED else timezone.now()
    rows = Transcription.objects.filter(id=prepared.id)
    with transaction.atomic(), pytest.raises(IntegrityError, match="finished_has_completed_at"):
        rows.update(completed_at=invalid)
    assert (rows.get().completed_at is None) == (state not in FINISHED)


@pytest.mark.django_db
@pytest.mark.parametrize("state", State)
def test_lease_is_set_exactly_in_states_with_a_worker(
    prepared: Transcription, state: State
) -> None:
    set_state(state)
    invalid = None if state in WORKING else uuid.uuid4()
    rows = Transcription.objects.filter(id=prepared.id)
    with transaction.atomic(), pytest.raises(IntegrityError, match="lease_exactly_while_working"):
        rows.update(lease=invalid)
    assert (rows.get().lease is not None) == (state in WORKING)


# --- The source ---------------------------------------------------------------------------------

WRITING_CALLS = {"update", "aupdate", "update_or_create", "bulk_update", "save", "asave", "setattr"}


def state_changes(source: str) -> list[str]:
    """The places that can change a stored `state`: an assigned attribute, or a call that writes and
    mentions the field, as a keyword or as a string. Creation does not count."""
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _changes_state(node)]


def _changes_state(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="state", ctx=ast.Store()):
            return True
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in WRITING_CALLS:
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            nodes = [child for value in values for child in ast.walk(value)]
            return any(keyword.arg == "state" for keyword in node.keywords) or any(
                isinstance(child, ast.Constant) and child.value == "state" for child in nodes
            )
    return False


@pytest.mark.parametrize(
    "source",
    [
        "row.state = State.FAILED",
        "row.state: State = State.FAILED",
        "rows.update(state=State.FAILED)",
        "rows.update(**{'state': 'failed'})",
        "row.save(update_fields=['title', 'state'])",
        "Transcription.objects.bulk_update(rows, ['state'])",
        "setattr(row, 'state', 'failed')",
    ],
)
def test_check_finds_changes_of_state(source: str) -> None:
    assert len(state_changes(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "rows.filter(state=State.FAILED).update(title='')",
        "Transcription.objects.create(state=State.PREPARED)",
        "if row.state == State.FAILED: pass",
    ],
)
def test_check_ignores_queries_and_creation(source: str) -> None:
    assert state_changes(source) == []


def test_only_lifecycle_changes_the_state_of_recordings_and_of_deliveries() -> None:
    lifecycles = {PACKAGE / name / "lifecycle.py" for name in ("processing", "webhooks")}
    assert len(SOURCES) > 100
    assert lifecycles <= set(SOURCES)
    changes = {path: state_changes(path.read_text()) for path in SOURCES if path not in lifecycles}
    assert {str(path): calls for path, calls in changes.items() if calls} == {}
