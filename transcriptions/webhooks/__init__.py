"""Webhooks: what happened to a recording, posted to its owner's servers as Standard Webhooks say.

https://www.standardwebhooks.com: the headers, the signature, and the habits that receivers expect.
"""
