"""Files that are whole or not there."""

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


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "a"
    with atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == {"a"}


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old" * 10)
    with atomic_write(path) as file:
        for _ in range(100):
            file.write(b"new" * 100)
            file.flush()
            assert path.read_bytes() == b"old" * 10
    assert path.read_bytes() == b"new" * 10000


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
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


def test_a_result_has_the_rights_of_an_ordinary_file(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a"):
            pass
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027, "the umask is as it was"
    finally:
        os.umask(before)


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for name in ("none/a", "file/a", "folder", "x" * 300):
        with pytest.raises(InputError) as error, atomic_write(tmp_path / name):
            pass
        assert str(error.value).startswith(f"cannot write {tmp_path / name}: ")
        assert "\n" not in str(error.value)
    assert names(tmp_path) == {"file", "folder"}
    assert names(tmp_path / "folder") == set()


def test_a_full_disk_leaves_the_old_file(tmp_path):
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


def test_a_kill_leaves_the_old_file(tmp_path):
    """SIGKILL while the block writes: what is half-written is beside it, never in its place."""
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


def test_only_ordinary_files_are_opened(tmp_path):
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


def test_what_cannot_be_written_is_known_before_the_work(tmp_path):
    check_writable(tmp_path / "new")
    check_writable(str(tmp_path / "new"))
    (tmp_path / "old").write_bytes(b"old")
    check_writable(tmp_path / "old")
    with pytest.raises(InputError, match="it is a folder; name a file"):
        check_writable(tmp_path)
    with pytest.raises(InputError, match=r"no folder .*none; make it first"):
        check_writable(tmp_path / "none" / "a")
    with pytest.raises(InputError, match="no folder"):
        check_writable(tmp_path / "old" / "a")
    assert names(tmp_path) == {"old"}
