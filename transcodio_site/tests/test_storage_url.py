"""STORAGE_URL: what it selects, and the errors for invalid values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3.session
import pytest
from django.core.exceptions import ImproperlyConfigured

from transcodio_site.management.commands.up import prepare
from transcodio_site.storage_url import LOCAL, S3, directory_from_url, storage_from_url
from transcodio_site.supervisor import StackError, free_port
from transcodio_site.testing import ROOT
from transcriptions.storage import s3_client
from transcriptions.storage.s3 import S3Storage

SECRET = "wJalr/XUtn+FEMI="


def test_empty_url_and_file_url_select_a_directory(tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    assert storage_from_url("") == storage_from_url(url) == {"BACKEND": LOCAL}
    assert directory_from_url("") is None
    assert directory_from_url(url) == tmp_path


def test_s3_url_has_credentials_and_options() -> None:
    query = "endpoint=https://s3.example.com/&prefix=/team/a/&encryption=aws:kms&kms_key=k1"
    assert storage_from_url(f"s3://KEY:{SECRET}@audio.example?{query}", direct=False) == {
        "BACKEND": S3,
        "OPTIONS": {
            "bucket": "audio.example",
            "access_key": "KEY",
            "secret_key": SECRET,
            "endpoint": "https://s3.example.com",
            "region": "us-east-1",
            "prefix": "team/a",
            "encryption": "aws:kms",
            "kms_key": "k1",
            "direct": False,
        },
    }


def test_keys_may_come_from_the_environment_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "temporary")
    monkeypatch.setattr(s3_client, "_session", boto3.session.Session)
    storage = S3Storage(**storage_from_url("s3://recordings?region=eu-central-1")["OPTIONS"])
    assert storage.origin == "https://recordings.s3.eu-central-1.amazonaws.com"
    url = storage.signed_url("recordings/a", "audio/mpeg", "attachment")
    assert "X-Amz-Security-Token=temporary" in url
    assert SECRET not in url


def test_encryption_is_requested_for_every_object() -> None:
    options = storage_from_url("s3://recordings?encryption=aws:kms&kms_key=k1")["OPTIONS"]
    assert S3Storage(**options).bucket.write_options == {
        "ContentType": "application/octet-stream",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "k1",
    }


INVALID = [
    f"ftp://KEY:{SECRET}@recordings",
    f"s3://KEY:{SECRET}@",
    f"s3://KEY:{SECRET}@Recordings",
    f"s3://KEY:{SECRET}@recordings/folder",
    f"s3://{SECRET}@recordings",
    f"s3://KEY:{SECRET}@recordings?endpoint=localhost:9000",
    f"s3://recordings?endpoint=http://KEY:{SECRET}@localhost:9000",
    f"s3://recordings?secret={SECRET}",
    "s3://recordings?prefix=../other",
    "s3://recordings?region=",
    "s3://recordings?encryption=rot13",
    "s3://recordings?kms_key=k1",
    "file://recordings/a",
    "file:recordings",
]


@pytest.mark.parametrize("url", INVALID)
def test_invalid_url_is_refused_in_one_line_without_credentials(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        storage_from_url(url)
    message = str(caught.value)
    assert message.startswith("STORAGE_URL is not valid: ")
    assert "\n" not in message
    assert SECRET not in message


def test_invalid_url_stops_every_command(tmp_path: Path) -> None:
    environment = os.environ | {"VAR_DIR": str(tmp_path), "STORAGE_URL": INVALID[0]}
    command = [sys.executable, "manage.py", "up"]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "STORAGE_URL is not valid" in ended.stderr
    assert SECRET not in ended.stderr


@pytest.mark.covers("fault", "The object storage is unreachable when the service starts")
def test_unreachable_bucket_stops_the_start_with_the_reason(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "ATTEMPTS", 1)
    url = f"s3://KEY:{SECRET}@recordings?endpoint=http://127.0.0.1:{free_port()}"
    settings.STORAGES = settings.STORAGES | {"default": storage_from_url(url)}
    with pytest.raises(StackError, match="No access to the storage: check STORAGE_URL") as caught:
        prepare()
    assert "Could not connect" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_local_installation_does_not_import_boto3() -> None:
    code = "import django; django.setup(); import sys; print('boto3' in sys.modules)"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "transcodio_site.settings"}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"
