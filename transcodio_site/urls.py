"""The URL configuration."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from accounts.views import end_sessions, invited, remove_email
from transcodio_site.api import api
from transcodio_site.asr_api import asr_api
from transcodio_site.documentation.views import api_reference, json_schema
from transcodio_site.monitoring.views import health, live, metrics, ready
from transcodio_site.openai_api import openai_api, openai_root
from transcodio_site.web_app import manifest, offline_page, offline_state, service_worker, share
from transcriptions.library import caption_pages
from transcriptions.library.record_page import record
from transcriptions.uploads.pages import transcription_settings
from transcriptions.usage.pages import usage_details

admin.site.site_header = admin.site.site_title = "Transcodio"
admin.site.index_title = _("Administration")
# Django's own login form has neither two-factor authentication nor rate limits, and its own
# password form sends no notification.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = RedirectView.as_view(  # type: ignore[assignment, method-assign]
    pattern_name="account_change_password"
)

handler500 = "transcodio_site.errors.server_error"
urlpatterns = [
    path("health", health),
    path("status", health),  # for Bazarr, which shows the version
    path("health/live", live),
    path("health/ready", ready),
    path("metrics", metrics),
    path("manifest.webmanifest", manifest, name="manifest"),
    path("service-worker.js", service_worker, name="service-worker"),
    path("offline/", offline_page, name="offline"),
    path("share/", share, name="share"),
    path("offline/state/", offline_state, name="offline-state"),
    path("docs/", include("transcodio_site.documentation.urls")),
    path("schemas/<str:name>", json_schema),
    path("api/docs", api_reference, name="api-reference"),
    path("api", RedirectView.as_view(pattern_name="api-reference")),
    path("api/", api.urls),
    path("v1", openai_root),
    path("v1/", openai_api.urls),
    path("accounts/email/<int:address_id>/remove/", remove_email, name="remove-email"),
    path("accounts/sessions/end/", end_sessions, name="end-sessions"),
    path("accounts/", include("allauth.urls")),
    path("invited/<str:code>/", invited, name="invited"),
    path("record/", record, name="record"),
    path("captions/<str:key>/", caption_pages.page, name="captions"),
    path("captions/<str:key>/events/", caption_pages.events, name="caption-events"),
    path("settings/", include("accounts.urls")),
    path("settings/usage/details/", usage_details, name="usage-details"),
    path("settings/transcription/", transcription_settings, name="transcription-settings"),
    path("settings/subtitles/", include("transcriptions.library.profile_urls")),
    path("settings/voices/", include("transcriptions.library.voice_urls")),
    path("settings/data/", include("transcriptions.privacy.urls")),
    path("settings/webhooks/", include("transcriptions.webhooks.urls")),
    path("admin/", admin.site.urls),
    path("", include("transcriptions.library.urls")),
    path("", asr_api.urls),
]
