"""The choices in the export dialogs."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from transcriptions.exports.documents import EXPORTERS, Exporter, Group
from transcriptions.exports.user_profiles import profiles_of

GROUPS = {
    Group.SUBTITLES: gettext_lazy("Subtitles"),
    Group.DOCUMENTS: gettext_lazy("Documents"),
    Group.DATA: gettext_lazy("Data"),
}
BUILT_IN_PROFILES = {
    "netflix": gettext_lazy("Netflix"),
    "netflix-children": gettext_lazy("Netflix for children"),
    "bbc": gettext_lazy("BBC"),
    "social": gettext_lazy("Social media"),
    "verbatim": gettext_lazy("Verbatim"),
}
# As users write them: see `params.exact_frame_rate`.
FRAME_RATES = ("23.976", "24", "25", "29.97", "30", "48", "50", "59.94", "60")


def export_choices(user: User) -> dict[str, Any]:
    """The context of the template `_export_fields.html`."""
    own = [name for name in profiles_of(user) if name not in BUILT_IN_PROFILES]
    return {
        "format_groups": [(label, _formats(group)) for group, label in GROUPS.items()],
        "profile_groups": [
            (_("Built-in"), [*BUILT_IN_PROFILES.items()]),
            (_("Your profiles"), [(name, name) for name in own]),
        ],
        "frame_rates": FRAME_RATES,
    }


def _formats(group: Group) -> list[tuple[str, Exporter]]:
    return [(name, exporter) for name, exporter in EXPORTERS.items() if exporter.group is group]
