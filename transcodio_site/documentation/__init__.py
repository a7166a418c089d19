"""The documents in `docs/` as pages of the site, with search and the API reference."""
