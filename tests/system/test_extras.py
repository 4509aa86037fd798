"""What is said where a package is missing that an extra brings."""

from __future__ import annotations

import pytest

from stream.errors import UsageError
from stream.system.extras import lack, need_extra


def test_the_extra_is_named() -> None:
    need_extra("fleet", "json", what="a fleet")
    with pytest.raises(UsageError, match=r"a fleet needs the package 'none_such'.*'\.\[fleet\]'"):
        need_extra("fleet", "json", "none_such", what="a fleet")


def test_what_reaches_a_storage_is_named_with_its_extra_if_there_is_one() -> None:
    error = ImportError("Install s3fs to access S3")  # as fsspec says it
    assert lack("s3", error) == (
        "it needs the package 's3fs'; install the extra from the checkout: pip install '.[s3]'"
    )
    assert lack("gs", ImportError("Please install gcsfs")) == "Please install gcsfs"
    assert lack("nix", ValueError("Protocol not known: nix")) == "Protocol not known: nix"
