"""Multipart uploads to a bucket, whose parts clients send themselves."""

from __future__ import annotations

from collections.abc import Iterator

from transcriptions.storage.base import Part, UnfinishedUpload
from transcriptions.storage.s3_client import Bucket, storage_errors

PART_URL_LIFETIME_S = 15 * 60  # within which the part must begin to arrive


class S3MultipartUploads:
    """See `MultipartUploads`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def start(self, name: str) -> str:
        """See `MultipartUploads`."""
        parameters = self._bucket.target(name) | self._bucket.write_options
        with storage_errors(name):
            created = self._bucket.client.create_multipart_upload(**parameters)
        return str(created["UploadId"])

    def part_url(self, name: str, upload_id: str, number: int, length: int) -> str:
        """The length is part of the signature: the storage refuses a longer part."""
        target = self._bucket.target(name) | {"UploadId": upload_id, "PartNumber": number}
        with storage_errors(name):
            url = self._bucket.client.generate_presigned_url(
                "upload_part",
                Params=target | {"ContentLength": length},
                ExpiresIn=PART_URL_LIFETIME_S,
            )
        return str(url)

    def parts(self, name: str, upload_id: str) -> list[Part]:
        """See `MultipartUploads`."""
        paginator = self._bucket.client.get_paginator("list_parts")
        with storage_errors(name):
            pages = list(paginator.paginate(**self._bucket.target(name), UploadId=upload_id))
        return [
            Part(part["PartNumber"], part["Size"], part["ETag"])
            for page in pages
            for part in page.get("Parts", ())
        ]

    def complete(self, name: str, upload_id: str, parts: list[Part]) -> None:
        """See `MultipartUploads`."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        with storage_errors(name):
            self._bucket.client.complete_multipart_upload(
                **self._bucket.target(name), UploadId=upload_id, MultipartUpload={"Parts": listed}
            )

    def abort(self, name: str, upload_id: str) -> None:
        """See `MultipartUploads`."""
        try:
            with storage_errors(name):
                self._bucket.client.abort_multipart_upload(
                    **self._bucket.target(name), UploadId=upload_id
                )
        except FileNotFoundError:
            pass

    def unfinished(self, folder: str) -> Iterator[UnfinishedUpload]:
        """See `MultipartUploads`."""
        folder_key = self._bucket.target(f"{folder}/")
        paginator = self._bucket.client.get_paginator("list_multipart_uploads")
        with storage_errors(folder):
            for page in paginator.paginate(Bucket=folder_key["Bucket"], Prefix=folder_key["Key"]):
                for upload in page.get("Uploads", ()):
                    name = self._bucket.name_of(upload["Key"])
                    yield UnfinishedUpload(name, upload["UploadId"], upload["Initiated"])
