"""Webhooks: events of recordings, posted to URLs of their owners as Standard Webhooks specifies.

https://www.standardwebhooks.com specifies the headers, the signature and the retries.
"""
