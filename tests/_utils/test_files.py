"""Atomic writes, and files that can be opened."""

import os
import resource
import signal
import subprocess
import sys
import threading

import pytest

from minids._utils.errors import InputError
from minids._utils.files import atomic_write, check_writable, open_file


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_file_is_created_when_the_block_ends(tmp_path):
    path = tmp_path / "a"
    with atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == {"a"}


def test_readers_see_the_old_file_until_the_block_ends(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old" * 10)
    with atomic_write(path) as file:
        for _ in range(100):
            file.write(b"new" * 100)
            file.flush()
            assert path.read_bytes() == b"old" * 10
    assert path.read_bytes() == b"new" * 10000


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_an_error_in_the_block_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def interrupted():
        with atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a"}


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a"):
            pass
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027, "the umask is as it was"
    finally:
        os.umask(before)


def test_an_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for name in ("none/a", "file/a", "folder", "x" * 300):
        with pytest.raises(InputError) as error, atomic_write(tmp_path / name):
            pass
        assert str(error.value).startswith(f"cannot write {tmp_path / name}: ")
        assert "\n" not in str(error.value)
    assert names(tmp_path) == {"file", "folder"}
    assert names(tmp_path / "folder") == set()


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """RLIMIT_FSIZE: the write fails as on a full disk, wherever it happens."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (10, 10**6):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
            with (
                pytest.raises(InputError, match=r"cannot write .*a: File too large"),
                atomic_write(path) as file,
            ):
                file.write(b"x" * size)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == {"a"}


def test_a_kill_keeps_the_old_file(tmp_path):
    """SIGKILL while the block writes."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    script = (
        "import os, sys\nfrom minids._utils.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'half')\n    file.flush()\n    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)])
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "a"
    inside = threading.Barrier(2, timeout=20)

    def write(letter):
        with atomic_write(path) as file:
            inside.wait()
            for _ in range(100):
                file.write(letter * 100)
            inside.wait()

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in (b"a" * 10000, b"b" * 10000)


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"here")
    with open_file(tmp_path / "a") as file:
        assert file.read() == b"here"
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with open_file(str(tmp_path / "link")) as file:
        assert file.read() == b"here"
    os.mkfifo(tmp_path / "pipe")
    for name, error in (
        ("none", "No such file"),
        (".", "not a file"),
        ("pipe", "not a file"),
        ("a\0b", "null"),
    ):
        with pytest.raises(OSError, match=error):
            open_file(tmp_path / name)


def test_check_writable_finds_unwritable_paths(tmp_path):
    check_writable(tmp_path / "new")
    check_writable(str(tmp_path / "new"))
    (tmp_path / "old").write_bytes(b"old")
    check_writable(tmp_path / "old")
    with pytest.raises(InputError, match="it is a folder; give a file name"):
        check_writable(tmp_path)
    with pytest.raises(InputError, match=r"no folder .*none; create it first"):
        check_writable(tmp_path / "none" / "a")
    with pytest.raises(InputError, match="no folder"):
        check_writable(tmp_path / "old" / "a")
    assert names(tmp_path) == {"old"}
