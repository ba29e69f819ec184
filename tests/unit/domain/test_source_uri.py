"""The source URI: what is taken, what is refused, and that a refusal never repeats a secret."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadSourceUriError
from service.domain.source_uri import SourceUri

SECRET = "hunter2SECRET"


@pytest.mark.parametrize(
    ("text", "base", "segments", "is_folder"),
    [
        ("file:///data/a.parquet", "/data/a.parquet", (), False),
        ("FILE:///data/", "/data", (), True),
        ("file:///", "/", (), True),
        ("file:////data//x", "/data//x", (), False),
        ("file:///data/my%20file.parquet", "/data/my file.parquet", (), False),
        ("file:///data/my file.parquet", "/data/my file.parquet", (), False),
        ("file:///data/caf%C3%A9/100%25", "/data/café/100%", (), False),
        ("file:///data/a%2Ab.parquet", "/data/a*b.parquet", (), False),
        ("file:///data/month=*/x%5B1%5D*.parquet", "/data", ("month=*", "x[[]1]*.parquet"), False),
        ("file:///data/**/[ab]?.parquet", "/data", ("**", "[ab]?.parquet"), False),
        ("file:///data/month=2026-*/", "/data", ("month=2026-*",), True),
        ("file:///data/../etc/x", "/data/../etc/x", (), False),
    ],
)
def test_file_uris_are_decoded_once_and_split_at_the_first_wildcard(
    text: str, base: str, segments: tuple[str, ...], *, is_folder: bool
) -> None:
    """A file URI gives an absolute path, percent-decoded, and the segments of its glob."""
    uri = SourceUri.parse(text)
    assert (uri.scheme, uri.bucket, uri.base, uri.segments, uri.is_folder) == (
        "file",
        "",
        base,
        segments,
        is_folder,
    )
    assert uri.text == text


@pytest.mark.parametrize(
    ("text", "bucket", "base", "segments", "is_folder"),
    [
        ("gs://bucket/a/b.parquet", "bucket", "a/b.parquet", (), False),
        ("s3://bucket", "bucket", "", (), True),
        ("S3://my.bucket_1/", "my.bucket_1", "", (), True),
        ("s3://bucket/a%20b", "bucket", "a%20b", (), False),
        ("gs://bucket/who@example.com/x#1.parquet", "bucket", "who@example.com/x#1.parquet", (), False),
        ("gs://bucket/x/../y/./z", "bucket", "y/z", (), False),
        ("gs://bucket/x//y", "bucket", "x//y", (), False),
        ("gs://bucket/t/month=2026-0?-01/*.parquet", "bucket", "t", ("month=2026-0?-01", "*.parquet"), False),
        ("s3://bucket/*.parquet", "bucket", "", ("*.parquet",), False),
    ],
)
def test_object_uris_keep_their_keys_as_they_stand(
    text: str, bucket: str, base: str, segments: tuple[str, ...], *, is_folder: bool
) -> None:
    """An object URI gives a bucket and a key that is not decoded, with its dots resolved."""
    uri = SourceUri.parse(text)
    assert (uri.bucket, uri.base, uri.segments, uri.is_folder) == (bucket, base, segments, is_folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must begin with"),
        ("/data/a.parquet", "file:///absolute/path"),
        ("data/a.parquet", "must begin with"),
        ("https://example.com/a.parquet", "not https://"),
        ("gcs://bucket/a", "not gcs://"),
        ("gs:bucket/a", "must begin with"),
        ("file:a.parquet", "three slashes"),
        ("file:/data/a.parquet", "three slashes"),
        ("file://data/a.parquet", "three slashes"),
        ("file://localhost/data/a.parquet", "three slashes"),
        ("file:///data/a%00b", "NUL"),
        ("file:///data/a\x00b", "NUL"),
        ("gs://bucket/a\nb", "control"),
        ("gs://bucket/a\ud800", "broken UTF-8"),
        ("file:///data/%ff", "UTF-8"),
        ("file:///data/*/../x", "'..'"),
        ("file:///data/*/%2e%2e/x", "'..'"),
        ("file:///data/*/a%2Fb", "%2F"),
        ("gs:///a", "no valid bucket"),
        ("gs://b*/a", "no valid bucket"),
        ("gs://bucket/../a", "leaves its bucket"),
        ("gs://bucket/*/../a", "'..'"),
        ("s3://bucket/a?versionId=1", "query string"),
        ("file:///data/a?x=1", "query string"),
        ("gs://bucket/" + "a" * 4085, "longer than"),
        ("\x00" * 5000, "longer than"),
        ("gs://bucket/" + "*/" * 65, "levels"),
    ],
)
def test_other_uris_are_refused_with_a_sentence_that_says_why(text: str, says: str) -> None:
    """What is no usable source is refused, in words that help."""
    with pytest.raises(BadSourceUriError) as refusal:
        SourceUri.parse(text)
    assert says in refusal.value.detail


@pytest.mark.parametrize(
    "text",
    [
        f"s3://AKIAEXAMPLE:{SECRET}@bucket/a.parquet",
        f"s3://AKIAEXAMPLE:{SECRET}/with/slash@bucket/a.parquet",
        f"gs://{SECRET}@bucket/a.parquet",
        f"file://user:{SECRET}@host/data/a.parquet",
        f"s3://bucket/a.parquet?X-Amz-Signature={SECRET}",
        f"s3://bucket/a.parquet?x-amz-security-token={SECRET}&b=c",
        f"s3://bucket/a.parquet?AWSAccessKeyId={SECRET}",
        f"gs://bucket/a.parquet?X-Goog-Credential={SECRET}",
        f"gs://bucket/a.parquet#access_token={SECRET}",
        f"gs://bucket/a.parquet;password={SECRET}",
        f"file:///data/a.parquet?sig={SECRET}",
        f"https://user:{SECRET}@example.com/a",
        f"gs://bucket/a.parquet?anything={SECRET}",
        f"{SECRET}://bucket/a" + "\x00",
    ],
)
def test_credentials_in_a_uri_are_refused_and_never_repeated(text: str) -> None:
    """Whatever carries a secret is refused in a sentence that does not hold it."""
    with pytest.raises(BadSourceUriError) as refusal:
        SourceUri.parse(text)
    assert SECRET not in refusal.value.detail
    assert SECRET.lower() not in refusal.value.detail.lower()


@given(
    st.lists(st.sampled_from([*"?&#;=/a_-", "sig", "SV", "token", "api_key", "xsig"]), max_size=14).map(
        "".join
    )
)
def test_a_secret_is_found_wherever_a_parameter_names_it(path: str) -> None:
    """Just those names count that stand before a `=` and after one of `?&#;`, as in any kind of URL."""
    spelled = r"[?&#;][^/=&]*(token|api_?-?key|\bsig|\bsv)[^/=&]*="
    refused = "credentials" in _refusal(f"gs://bucket/{path}")
    assert refused == bool(re.search(spelled, path, re.IGNORECASE))


def _refusal(text: str) -> str:
    try:
        SourceUri.parse(text)
    except BadSourceUriError as refusal:
        return refusal.detail
    return ""


@given(
    st.text(max_size=60)
    | st.builds(
        "{}{}".format,
        st.sampled_from(["file:///", "gs://bucket/", "s3://bucket/", "file:"]),
        st.text(max_size=60),
    )
)
def test_any_text_is_either_parsed_or_refused(text: str) -> None:
    """No text makes the parser fail in any other way, and no wildcard is left in what is literal."""
    try:
        uri = SourceUri.parse(text)
    except BadSourceUriError:
        return
    assert uri.scheme != "file" or uri.base.startswith("/")
    assert ".." not in uri.segments
    assert uri.scheme == "file" or not any(part in {".", ".."} for part in uri.base.split("/"))
