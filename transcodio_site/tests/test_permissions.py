"""The permission matrix: every URL, requested by every kind of user.

The tables list all pages, operations and sockets: see test_permission_matrix.py.
"""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client

from accounts.models import Scope, User
from transcodio_site.tests.resources import Resources, call, with_session, with_token

pytestmark = pytest.mark.django_db(transaction=True)

READ, WRITE, USAGE = Scope.READ, Scope.WRITE, Scope.USAGE
SESSION = None  # tokens are not accepted

# Operation and required scope. Operations with an id are for the owner only.
OPERATIONS = {
    "GET /api/transcriptions": READ,
    "POST /api/transcriptions": WRITE,
    "POST /api/transcribe": WRITE,
    "POST /api/transcribe/stream": WRITE,
    "GET /api/transcriptions/{transcription_id}": READ,
    "PATCH /api/transcriptions/{transcription_id}": WRITE,
    "DELETE /api/transcriptions/{transcription_id}": WRITE,
    "PATCH /api/transcriptions/{transcription_id}/segments/{number}": WRITE,
    "PATCH /api/transcriptions/{transcription_id}/speakers/{number}": WRITE,
    "POST /api/transcriptions/{transcription_id}/speakers/merge": WRITE,
    "POST /api/transcriptions/{transcription_id}/speakers/detect": WRITE,
    "DELETE /api/transcriptions/{transcription_id}/speakers/detect": WRITE,
    "POST /api/transcriptions/{transcription_id}/speakers/assign": WRITE,
    "POST /api/transcriptions/{transcription_id}/speakers/{number}/split": WRITE,
    "POST /api/transcriptions/{transcription_id}/speakers/{number}/split/proposal": WRITE,
    "GET /api/transcriptions/{transcription_id}/speakers/{number}/split/proposal": READ,
    "POST /api/transcriptions/{transcription_id}/edits": WRITE,
    "POST /api/transcriptions/{transcription_id}/edits/undo": WRITE,
    "POST /api/transcriptions/{transcription_id}/edits/redo": WRITE,
    "GET /api/transcriptions/{transcription_id}/versions": READ,
    "GET /api/transcriptions/{transcription_id}/versions/{revision}": READ,
    "POST /api/transcriptions/{transcription_id}/versions/{revision}/restore": WRITE,
    "GET /api/transcriptions/{transcription_id}/annotations": READ,
    "POST /api/transcriptions/{transcription_id}/annotations": WRITE,
    "PATCH /api/transcriptions/{transcription_id}/annotations/{annotation_id}": WRITE,
    "DELETE /api/transcriptions/{transcription_id}/annotations/{annotation_id}": WRITE,
    "POST /api/transcriptions/{transcription_id}/speakers/{number}/voice": WRITE,
    "GET /api/voices": READ,
    "PATCH /api/voices/{voice_id}": WRITE,
    "DELETE /api/voices/{voice_id}": WRITE,
    "POST /api/transcriptions/{transcription_id}/import": WRITE,
    "POST /api/transcriptions/{transcription_id}/recognize": WRITE,
    "POST /api/transcriptions/{transcription_id}/cancel": WRITE,
    "POST /api/transcriptions/{transcription_id}/retry": WRITE,
    "POST /api/transcriptions/{transcription_id}/read-token": READ,
    "GET /api/transcriptions/{transcription_id}/captions": READ,
    "POST /api/transcriptions/{transcription_id}/captions": WRITE,
    "DELETE /api/transcriptions/{transcription_id}/captions": WRITE,
    "GET /api/transcriptions/{transcription_id}/events": READ,
    "GET /api/transcriptions/{transcription_id}/export": READ,
    "POST /api/transcriptions/export": READ,
    "GET /api/transcriptions/{transcription_id}/subtitles": READ,
    "GET /api/transcriptions/{transcription_id}/words": READ,
    "GET /api/subtitle-profiles": READ,
    "PUT /api/subtitle-profiles/{name}": WRITE,
    "DELETE /api/subtitle-profiles/{name}": WRITE,
    "GET /api/transcriptions/{transcription_id}/audio": READ,
    "GET /api/transcriptions/{transcription_id}/waveform": READ,
    "HEAD /api/transcriptions/{transcription_id}/audio": READ,
    "HEAD /api/transcriptions/{transcription_id}/export": READ,
    "POST /api/uploads": WRITE,
    "POST /api/uploads/{upload_id}/parts/{number}": WRITE,
    "POST /api/uploads/{upload_id}/complete": WRITE,
    "DELETE /api/uploads/{upload_id}": WRITE,
    "GET /api/usage": USAGE,
    "GET /api/tokens": SESSION,
    "POST /api/tokens": SESSION,
    "DELETE /api/tokens/{token_id}": SESSION,
    "GET /v1/models": READ,
    "GET /v1/models/{name}": READ,
    "POST /v1/audio/transcriptions": WRITE,
    "POST /v1/audio/translations": WRITE,
    "POST /v1/realtime/client_secrets": WRITE,
    "POST /asr": WRITE,
    "POST /detect-language": WRITE,
}

# Their clients have the token in the URL of the server.
BASIC_AUTHENTICATION = {"POST /asr", "POST /detect-language"}
# For tokens only.
TOKEN_ONLY = {"POST /api/transcriptions/{transcription_id}/read-token"}

PUBLIC, AUTHENTICATED, OWNER, STAFF = "public", "authenticated", "owner", "staff"
REDIRECT = "redirect"  # to the library, or to the sign-in; it stores nothing
POLLED = {  # by pages, into which a redirect would put the sign-in page
    "transcriptions/rows/",
    "transcriptions/<id:transcription_id>/queue/",
    "transcriptions/<id:transcription_id>/speakers/detection/",
}
LINK = "link"  # whoever has the key in it: see test_captions.py
OPERATOR = "operator"  # has the metrics token, or is on this machine
PAGES = {
    "manifest.webmanifest": PUBLIC,
    "service-worker.js": PUBLIC,
    "offline/": PUBLIC,
    "share/": REDIRECT,
    "offline/state/": PUBLIC,  # reveals nothing about recordings of others
    "health": PUBLIC,
    "status": PUBLIC,
    "health/live": PUBLIC,
    "health/ready": PUBLIC,
    "metrics": OPERATOR,
    "api": PUBLIC,
    "api/docs": PUBLIC,
    "v1": PUBLIC,
    "docs/": PUBLIC,
    "docs/search/": PUBLIC,
    "docs/images/<str:name>": PUBLIC,
    "schemas/<str:name>": PUBLIC,
    "docs/<slug:name>/": PUBLIC,
    "": PUBLIC,  # the library, or the welcome page
    "transcriptions/<id:transcription_id>/": OWNER,
    "transcriptions/rows/": AUTHENTICATED,
    "transcriptions/<id:transcription_id>/queue/": OWNER,
    "transcriptions/<id:transcription_id>/cancel/": OWNER,
    "transcriptions/<id:transcription_id>/retry/": OWNER,
    "transcriptions/<id:transcription_id>/recognize/": OWNER,
    "transcriptions/<id:transcription_id>/speakers/detect/": OWNER,
    "transcriptions/<id:transcription_id>/speakers/detect/cancel/": OWNER,
    "transcriptions/<id:transcription_id>/speakers/detection/": OWNER,
    "transcriptions/<id:transcription_id>/delete/": OWNER,
    "record/": AUTHENTICATED,
    "captions/<str:key>/": LINK,
    "captions/<str:key>/events/": LINK,
    "invited/<str:code>/": PUBLIC,
    "settings/usage/": AUTHENTICATED,
    "settings/usage/details/": AUTHENTICATED,
    "settings/activity/": AUTHENTICATED,
    "accounts/email/<int:address_id>/remove/": OWNER,
    "accounts/sessions/end/": AUTHENTICATED,
    "settings/tokens/": AUTHENTICATED,
    "settings/tokens/<int:token_id>/revoke/": OWNER,
    "settings/transcription/": AUTHENTICATED,
    "settings/subtitles/": AUTHENTICATED,
    "settings/subtitles/new/": AUTHENTICATED,
    "settings/subtitles/<int:profile_id>/": OWNER,
    "settings/subtitles/<int:profile_id>/delete/": OWNER,
    "settings/voices/": AUTHENTICATED,
    "settings/voices/delete-all/": AUTHENTICATED,
    "settings/voices/<int:voice_id>/": OWNER,
    "settings/voices/<int:voice_id>/delete/": OWNER,
    "settings/data/": AUTHENTICATED,
    "settings/data/export/": AUTHENTICATED,
    "settings/data/delete-account/": AUTHENTICATED,
    "settings/webhooks/": AUTHENTICATED,
    "settings/webhooks/<int:endpoint_id>/": OWNER,
    "settings/webhooks/<int:endpoint_id>/test/": OWNER,
    "settings/webhooks/<int:endpoint_id>/enable/": OWNER,
    "settings/webhooks/<int:endpoint_id>/rotate/": OWNER,
    "settings/webhooks/<int:endpoint_id>/delete/": OWNER,
    "settings/webhooks/<int:endpoint_id>/deliveries/<id:delivery_id>/replay/": OWNER,
    "admin/accounts/usageday/": STAFF,
    "admin/accounts/user/<id>/password/": STAFF,  # superusers: see test_admin_base.py
    "admin/transcriptions/transcription/<path:object_id>/change/": STAFF,
    "admin/transcriptions/transcription/<path:object_id>/history/": STAFF,
}
POST_PATH_SUFFIXES = (
    "detect/",
    "cancel/",
    "retry/",
    "recognize/",
    "delete/",
    "revoke/",
    "test/",
    "enable/",
    "rotate/",
    "replay/",
    "data/export/",
    "delete-account/",
)
# Models in the admin site: neither transcripts nor webhooks, which have secrets.
ADMIN_MODELS = {
    *("accounts.User", "accounts.Plan", "accounts.Invitation", "accounts.ApiToken"),
    *("accounts.UsageRecord", "accounts.UsageDay", "accounts.AuditEvent", "auth.Group"),
    *("account.EmailAddress", "mfa.Authenticator", "usersessions.UserSession"),
    *("socialaccount.SocialApp", "socialaccount.SocialAccount", "socialaccount.SocialToken"),
    "transcriptions.Transcription",
    "transcriptions.LiveSession",
}
SOCKETS = {
    "ws/transcriptions/<id:transcription_id>/": OWNER,  # see test_consumers.py
    "api/live": WRITE,  # see test_live.py
    "v1/realtime": WRITE,  # see test_realtime.py
}


@pytest.fixture
def resources(alice: User) -> Resources:
    return Resources(alice)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_without_valid_token_is_401(operation: str, resources: Resources) -> None:
    challenge = "Basic" if operation in BASIC_AUTHENTICATION else "Bearer"
    for headers in ({}, {"Authorization": "Bearer tk_wrong"}, {"Authorization": "Basic eA=="}):
        response = call(Client(headers=headers), operation, resources)
        assert response.status_code == 401
        assert response["WWW-Authenticate"].split()[0] == challenge
    assert resources.unchanged()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_token_without_scope_is_403(operation: str, resources: Resources, alice: User) -> None:
    required = OPERATIONS[operation]
    others = [scope for scope in Scope if scope != required]
    response = call(with_token(alice, *others), operation, resources)
    assert response.status_code == 403
    assert resources.unchanged()
    if required is not SESSION:
        assert call(with_token(alice, required), operation, resources).status_code not in (401, 403)


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if "id}" in name])
def test_stranger_and_staff_get_404_on_operation(
    operation: str, resources: Resources, bob: User, carol: User
) -> None:
    for user in (bob, carol):  # another user, and staff
        refused = 401 if operation in TOKEN_ONLY else 404
        assert call(with_session(user), operation, resources).status_code == refused
        if OPERATIONS[operation] is not SESSION:
            assert call(with_token(user, *Scope), operation, resources).status_code == 404
    assert resources.unchanged()


LISTS = ["GET /api/transcriptions", "GET /api/tokens", "GET /api/usage", "GET /api/voices"]


@pytest.mark.parametrize("operation", LISTS)
def test_lists_have_only_own_objects(operation: str, resources: Resources, bob: User) -> None:
    response = call(with_session(bob), operation, resources)
    assert response.status_code == 200
    assert str(resources.row.id) not in response.content.decode()
    assert resources.token.hint not in response.content.decode()
    assert "Confidential" not in response.content.decode()


# --- The pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_page_permissions(
    page: str, resources: Resources, alice: User, bob: User, carol: User
) -> None:
    url = "/" + resources.fill(page)
    method = "POST" if page.endswith(POST_PATH_SUFFIXES) else "GET"
    anonymous = Client().generic(method, url)
    if PAGES[page] == PUBLIC:
        assert anonymous.status_code in (200, 302)
        assert "login" not in anonymous.headers.get("Location", "")
        assert b"Confidential" not in with_session(bob).get(url).content
        return
    if PAGES[page] == REDIRECT:
        assert anonymous["Location"].startswith("/accounts/login/")
        assert [with_session(user).get(url)["Location"] for user in (alice, bob)] == ["/", "/"]
        return
    if PAGES[page] == OPERATOR:  # the host name of the test client is not of this machine
        answers = [anonymous, *(with_session(user).get(url) for user in (alice, bob, carol))]
        assert {response.status_code for response in answers} == {401}
        return
    if PAGES[page] == LINK:
        answers = [anonymous, *(with_session(user).get(url) for user in (alice, bob, carol))]
        assert {response.status_code for response in answers} == {404}
        return
    assert anonymous.status_code == (401 if page in POLLED else 302)
    if PAGES[page] == STAFF:  # see test_staff_see_usage_but_no_transcripts
        assert with_session(bob).get(url).status_code == 302
        return
    if page not in POLLED:
        assert anonymous["Location"].startswith("/accounts/login/")
    for stranger in (bob, carol):
        response = with_session(stranger).generic(method, url)
        expected = {OWNER: [404], AUTHENTICATED: [200, 400]}[
            PAGES[page]
        ]  # 400: without the password
        assert response.status_code in expected
        content = b"".join(response)
        assert b"Confidential" not in content
        assert resources.token.hint.encode() not in content
    assert resources.unchanged()
    assert with_session(alice).generic(method, url).status_code in (200, 302, 400)


# --- The admin site -----------------------------------------------------------------------------


def test_admin_site_is_for_staff_only() -> None:
    pages = ["/admin/", "/admin/accounts/user/", "/admin/transcriptions/transcription/"]
    user = User.objects.create_user("dora@example.com", "x")
    for client in (Client(), with_session(user)):
        for page in pages:
            assert client.get(page).status_code == 302


def test_admin_site_has_no_other_models() -> None:
    assert {model._meta.label for model in admin.site._registry} == ADMIN_MODELS


def test_staff_see_usage_but_no_transcripts(resources: Resources) -> None:
    staff = with_session(User.objects.create_user("staff@example.com", "x", is_staff=True))
    assert staff.get("/admin/accounts/usageday/").status_code == 200
    assert staff.get("/admin/accounts/usagerecord/").status_code == 200
    jobs = "/admin/transcriptions/transcription/"
    for page in (jobs, f"{jobs}{resources.row.id}/change/"):
        assert b"Confidential" not in staff.get(page).content
    for page in ("accounts/user/", "accounts/apitoken/", "accounts/invitation/"):
        assert staff.get(f"/admin/{page}").status_code == 403
