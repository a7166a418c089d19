"""The admin pages of accounts. Django imports this package, and so registers them."""

from accounts.admin import invitations, security, usage, users

__all__ = ["invitations", "security", "usage", "users"]
