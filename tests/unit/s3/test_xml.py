"""S3's XML documents."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioftps3.s3 import xml
from aioftps3.s3.checksums import Checksum
from aioftps3.s3.errors import DeleteFailure, S3ProtocolError
from aioftps3.s3.models import CompletedPart, ListedObject, ListedPart, ListedUpload

PARSERS: list[Callable[[bytes], object]] = [
    xml.parse_error,
    xml.parse_list_page,
    xml.parse_delete_result,
    xml.parse_upload_id,
    xml.parse_complete_result,
    xml.parse_copy_result,
    lambda body: xml.parse_copied_part(body, "crc32"),
    xml.parse_uploads_page,
    xml.parse_parts_page,
]

LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>%s
<IsTruncated>true</IsTruncated><NextContinuationToken>t/+=</NextContinuationToken>
<Contents><Key>a+b%%2Bc%%0A</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>
<ETag>&quot;e&quot;</ETag><Size>5</Size></Contents>
<CommonPrefixes><Prefix>d%%20e/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>f/</Prefix></CommonPrefixes>
</ListBucketResult>"""


@pytest.mark.parametrize(
    ("encoding", "key", "prefix"),
    [("<EncodingType>url</EncodingType>", "a b+c\n", "d e/"), ("", "a+b%2Bc%0A", "d%20e/")],
)
@pytest.mark.parametrize("namespace", [True, False])
def test_keys_of_a_listing_are_decoded_when_it_says_so(encoding: str, key: str, prefix: str, namespace: bool) -> None:
    document = LISTING % encoding
    if not namespace:
        document = document.replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "")
    page = xml.parse_list_page(document.encode())
    assert page.objects == (ListedObject(key=key, size=5, etag='"e"', last_modified=1255369830.0),)
    assert page.prefixes == (prefix, "f/")
    assert page.next_token == "t/+="


def test_listing_tells_the_storage_class() -> None:
    document = LISTING.replace("</Size>", "</Size><StorageClass>GLACIER</StorageClass>") % ""
    assert xml.parse_list_page(document.encode()).objects[0].storage_class == "GLACIER"


def test_tags_are_read() -> None:
    document = b'<Tagging xmlns="x"><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value/></Tag>'
    assert xml.parse_tags(document + b"</TagSet></Tagging>") == {"a": "1", "b": ""}
    assert xml.parse_tags(b"<Tagging><TagSet/></Tagging>") == {}
    with pytest.raises(S3ProtocolError):
        xml.parse_tags(b"<Error/>")


def test_last_page_has_no_token() -> None:
    page = xml.parse_list_page(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    assert page.next_token is None


@pytest.mark.parametrize("inside", [b"", b"<IsTruncated/>", b"<IsTruncated>perhaps</IsTruncated>"])
def test_half_a_listing_does_not_pass_for_an_empty_one(inside: bytes) -> None:
    with pytest.raises(S3ProtocolError):
        xml.parse_list_page(b"<ListBucketResult>" + inside + b"</ListBucketResult>")


def test_key_that_is_no_utf8_stays_apart() -> None:
    document = LISTING.replace("a+b%%2Bc%%0A", "%%FF") % "<EncodingType>url</EncodingType>"
    assert xml.parse_list_page(document.encode()).objects[0].key == "\udcff"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<ListBucketResult>",
        b"<Other/>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>",
        b"<ListBucketResult><Contents><Key>k</Key><Size>-1</Size></Contents></ListBucketResult>",
        LISTING.replace("2009", "x").encode(),
    ],
)
def test_listing_that_is_none_is_refused(document: bytes) -> None:
    with pytest.raises(S3ProtocolError):
        xml.parse_list_page(document)


BILLION_LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>
<ListBucketResult><Name>&lol2;</Name></ListBucketResult>"""


@pytest.mark.parametrize(
    "document",
    [
        BILLION_LAUGHS,
        BILLION_LAUGHS.decode().encode("utf-16"),
        BILLION_LAUGHS.decode().encode("utf-16-le"),
        b"<!DOCTYPE Error><Error/>",
    ],
)
@pytest.mark.parametrize("parser", PARSERS[1:])
def test_document_types_and_other_encodings_are_refused(parser: Callable[[bytes], object], document: bytes) -> None:
    with pytest.raises(S3ProtocolError):
        parser(document)
    assert xml.parse_error(document) is None


def test_error_document_is_read_behind_white_space() -> None:
    document = b'\n\n  <?xml version="1.0"?><Error><Code>C</Code><Message>M</Message><Region>r</Region></Error>'
    error = xml.parse_error(document)
    assert error == xml.ErrorDocument(code="C", message="M", region="r")


def test_uploads_are_read() -> None:
    document = b"""<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
    <NextKeyMarker>a%2Fb</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>
    <Upload><Key>a%2Fb</Key><UploadId>u1</UploadId><Initiated>1970-01-01T00:01:00Z</Initiated></Upload>
    </ListMultipartUploadsResult>"""
    page = xml.parse_uploads_page(document)
    assert page.uploads == (ListedUpload(key="a/b", upload_id="u1", initiated=60.0),)
    assert (page.next_key_marker, page.next_upload_id_marker, page.is_last) == ("a/b", "u2", False)
    assert xml.parse_uploads_page(b"<ListMultipartUploadsResult/>").is_last


def test_parts_are_read() -> None:
    document = b"""<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker>
    <Part><PartNumber>7</PartNumber><ETag>e</ETag><Size>3</Size></Part></ListPartsResult>"""
    page = xml.parse_parts_page(document)
    assert page.parts == (ListedPart(number=7, etag="e", size=3),)
    assert page.next_marker == 7


def test_small_answers_are_read() -> None:
    assert (
        xml.parse_upload_id(b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        == "u"
    )
    assert xml.parse_copy_result(b"<CopyPartResult><ETag>e</ETag></CopyPartResult>") == "e"
    assert xml.parse_complete_result(
        b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
    ) == ("e")
    assert xml.parse_delete_result(
        b"<DeleteResult><Error><Key>k</Key><Code>c</Code><Message>m</Message></Error></DeleteResult>"
    ) == (DeleteFailure("k", "c", "m"),)


def test_the_checksum_of_a_copied_part_is_read_if_it_is_the_one_that_was_asked_for() -> None:
    document = b"<CopyPartResult><ETag>e</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></CopyPartResult>"
    assert xml.parse_copied_part(document, "crc32") == ("e", Checksum("crc32", "AAAAAA=="))
    assert xml.parse_copied_part(document, "sha256") == ("e", None)
    assert xml.parse_copied_part(document, None) == ("e", None)
    with pytest.raises(S3ProtocolError):
        xml.parse_copied_part(b"", None)


@pytest.mark.parametrize(
    "parser",
    [xml.parse_upload_id, xml.parse_copy_result, xml.parse_complete_result],
    ids=lambda parser: parser.__name__,
)
@pytest.mark.parametrize("root", ["InitiateMultipartUploadResult", "CopyObjectResult", "CompleteMultipartUploadResult"])
def test_answers_without_their_value_are_refused(parser: Callable[[bytes], str], root: str) -> None:
    with pytest.raises(S3ProtocolError):
        parser(f"<{root}/>".encode())


def test_parts_are_written_in_their_order() -> None:
    parts = [CompletedPart(number=2, etag='"b"', size=1), CompletedPart(number=1, etag='"<a>"', size=1)]
    root = ElementTree.fromstring(xml.complete_request(parts))
    name = f"{{{xml.NAMESPACE}}}"
    assert [item.text for item in root.iter(f"{name}PartNumber")] == ["1", "2"]
    assert [item.text for item in root.iter(f"{name}ETag")] == ['"<a>"', '"b"']


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(codec="utf-8")).filter(xml.can_hold), max_size=5))
def test_keys_to_delete_survive_the_way_through_xml(keys: list[str]) -> None:
    root = ElementTree.fromstring(xml.delete_request(keys))
    assert [item.text or "" for item in root.iter(f"{{{xml.NAMESPACE}}}Key")] == keys


@pytest.mark.parametrize("text", ["\x00", "\x1f", "\ufffe", "\ud800", "a\x0bb"])
def test_characters_that_xml_cannot_hold_are_known(text: str) -> None:
    assert not xml.can_hold(text)


pieces = st.sampled_from(
    [
        b"<ListBucketResult>", b"</ListBucketResult>", b"<Contents>", b"</Contents>", b"<Key>", b"</Key>", b"<Size>",
        b"</Size>", b"<Error>", b"</Error>", b"<Code>", b"</Code>", b"<!DOCTYPE a>", b"<![CDATA[", b"]]>",
        b"&amp;", b"&x;",
        b"<?xml version='1.0' encoding='utf-7'?>", b"1", b"%FF", b"\xff", b"<IsTruncated>true</IsTruncated>",
        b"<CompleteMultipartUploadResult>", b"<Part>", b"<LastModified>9999-99-99T</LastModified>", b"<!--", b"-->",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.binary(max_size=60) | st.lists(pieces, max_size=14).map(b"".join), st.sampled_from(PARSERS))
def test_whatever_comes_raises_only_the_documented_error(document: bytes, parser: Callable[[bytes], object]) -> None:
    try:
        parser(document)
    except S3ProtocolError:
        return
