"""Source files are found by glob and fetched once, on this machine and in an object store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from farthing.errors import SourceError
from farthing.objects import find
from tests.servers import S3, Answered, Web, moto_endpoint, s3, web  # noqa: F401  # fixtures

TREE = ["a.csv", "b.csv", "sub/c.csv", "sub/deep/d.csv", "sub/deep/e.parquet", "bill[1].csv", "x.csv.gz"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "my [project]"
    for name in TREE:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


PATTERNS = [
    (["*.csv"], ["a.csv", "b.csv", "bill[1].csv"]),
    (["**/*.csv"], ["a.csv", "b.csv", "bill[1].csv", "sub/c.csv", "sub/deep/d.csv"]),
    (["sub/*"], ["sub/c.csv"]),
    (["sub/**/*.csv"], ["sub/c.csv", "sub/deep/d.csv"]),
    (["?.csv", "a.csv"], ["a.csv", "b.csv"]),
    (["[!a].csv"], ["b.csv"]),
    (["bill[[]1].csv"], ["bill[1].csv"]),
    (["sub/c.csv", "nothing.csv", "nowhere/*.csv"], ["sub/c.csv"]),
    (["sub"], []),
]


@pytest.mark.parametrize(("patterns", "names"), PATTERNS)
def test_a_glob_finds_the_same_files_in_a_folder_and_in_an_object_store(
    root: Path,
    s3: S3,  # noqa: F811
    patterns: list[str],
    names: list[str],
) -> None:
    for name in TREE:
        s3.put(f"in put/{name}", name.encode())
    assert [file.name for file in find(patterns, root)] == names
    base = f"s3://{s3.bucket}/in put/"
    found = find([base + pattern for pattern in patterns], root, s3.options)
    assert [file.uri for file in found] == [base + name for name in names]
    assert [file.size for file in found] == [len(name) for name in names]


def test_a_file_that_has_the_name_of_a_pattern_is_meant(root: Path) -> None:
    assert [file.name for file in find(["bill[1].csv"], root)] == ["bill[1].csv"]


def test_home_and_absolute_patterns_work_and_keep_the_whole_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    (root.parent / "plain").mkdir()
    (root.parent / "plain" / "z.csv").write_text("z")
    for pattern in ("~/plain/*.csv", str(root.parent / "plain" / "z.csv")):
        assert [file.name for file in find([pattern], root)] == [str(root.parent / "plain" / "z.csv")]


def test_the_identity_of_a_local_file_changes_with_size_and_time(root: Path) -> None:
    (before,) = find(["a.csv"], root)
    facts = (root / "a.csv").stat()
    assert before.identity == f"{facts.st_size}-{facts.st_mtime_ns}"
    assert before.fetch(root) == root / "a.csv"
    os.utime(root / "a.csv", ns=(1, 1))
    (after,) = find(["a.csv"], root)
    assert (after.uri, after.identity) == (before.uri, "5-1")


def test_an_object_is_fetched_once_for_each_identity(s3: S3, tmp_path: Path) -> None:  # noqa: F811
    url = s3.put("in/a b.csv", b"one")
    (found,) = find([url], tmp_path, s3.options)
    path = found.fetch(tmp_path / "got")
    assert (path.name, path.read_bytes()) == ("a b.csv", b"one")
    os.utime(path, (1, 1))
    assert found.fetch(tmp_path / "got") == path
    assert path.stat().st_mtime == 1
    s3.put("in/a b.csv", b"two")
    (newer,) = find([url], tmp_path, s3.options)
    assert newer.identity != found.identity
    assert newer.fetch(tmp_path / "got").read_bytes() == b"two"
    assert path.read_bytes() == b"one"


def test_an_object_that_changed_since_it_was_found_is_not_taken_for_it(s3: S3, tmp_path: Path) -> None:  # noqa: F811
    (found,) = find([s3.put("a.csv", b"one")], tmp_path, s3.options)
    s3.put("a.csv", b"two")
    with pytest.raises(SourceError, match="changed while it was read"):
        found.fetch(tmp_path / "got")
    assert not [path for path in (tmp_path / "got").rglob("*") if path.is_file()]


def test_an_object_that_is_gone_is_named(s3: S3, tmp_path: Path) -> None:  # noqa: F811
    (found,) = find([s3.put("a.csv", b"one")], tmp_path, s3.options)
    s3.delete("a.csv")
    with pytest.raises(SourceError, match=f"s3://{s3.bucket}/a.csv"):
        found.fetch(tmp_path / "got")


def test_keys_may_come_from_the_environment(
    s3: S3,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = s3.put("a.csv", b"one")
    for name, value in s3.options.items():
        monkeypatch.setenv(name, value)
    (found,) = find([f"s3://{s3.bucket}/*.csv"], tmp_path)
    assert (found.uri, found.fetch(tmp_path / "got").read_bytes()) == (url, b"one")


@pytest.mark.parametrize("pattern", ["*.csv", "a.csv"])
def test_a_store_that_cannot_be_reached_is_named_with_what_to_check(
    s3: S3,  # noqa: F811
    tmp_path: Path,
    pattern: str,
) -> None:
    for url, options in [
        (f"s3://{s3.bucket}/{pattern}", {**s3.options, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
        (f"s3://no-such-bucket-here/{pattern}", s3.options),
        (f"ftp://somewhere/{pattern}", {}),
        (f"s3://{s3.bucket}/{pattern}", {**s3.options, "NO_SUCH_OPTION": "x"}),
    ]:
        with pytest.raises(SourceError, match="check the address, the credentials"):
            find([url], tmp_path, options)


def test_an_address_is_one_file_known_by_its_etag_and_named_without_its_signature(
    tmp_path: Path,
    web: Web,  # noqa: F811
) -> None:
    web.answer = lambda _: Answered(b"a,b\n1,2\n", headers={"ETag": '"v1"'})
    [found] = find([f"{web.endpoint}/bills/may.csv?signature=secret"], tmp_path)
    assert (found.name, found.identity, found.size) == (f"{web.endpoint}/bills/may.csv", "v1", 8)
    path = found.fetch(tmp_path)
    assert (path.name, path.read_bytes()) == ("may.csv", b"a,b\n1,2\n")
    assert found.fetch(tmp_path) == path
    assert len(web.asked) == 2


def test_an_address_that_changed_since_it_was_found_is_not_taken(tmp_path: Path, web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(b"1", headers={"Last-Modified": "Tue, 24 Nov 2026 10:00:00 GMT"})
    [found] = find([f"{web.endpoint}/may.csv"], tmp_path)
    web.answer = lambda _: Answered(b"2", headers={"Last-Modified": "Tue, 24 Nov 2026 11:00:00 GMT"})
    with pytest.raises(SourceError, match="changed while it was read"):
        found.fetch(tmp_path)


def test_an_address_without_etag_and_date_is_known_by_its_content(tmp_path: Path, web: Web) -> None:  # noqa: F811
    web.answer = lambda _: Answered(b"1")
    [first] = find([f"{web.endpoint}/may.csv"], tmp_path)
    [again] = find([f"{web.endpoint}/may.csv"], tmp_path)
    assert first.identity == again.identity
    assert first.fetch(tmp_path).read_bytes() == b"1"
    web.answer = lambda _: Answered(b"2")
    [other] = find([f"{web.endpoint}/may.csv"], tmp_path)
    assert other.identity != first.identity


def test_an_address_where_nothing_is_adds_nothing(tmp_path: Path, web: Web) -> None:  # noqa: F811
    assert find([f"{web.endpoint}/may.csv"], tmp_path) == []
