"""Atomic writes, files that can be opened, and locks."""

import gzip
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from minids._utils.errors import InputError
from minids._utils.files import atomic_write, check_writable, locked_folder, open_file


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


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    for content in (b"new", b"again"):  # the target does not exist at first
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("folder/target")
        with atomic_write(tmp_path / "link") as file:
            file.write(content)
        assert (tmp_path / "link").is_symlink()
        assert target.read_bytes() == content
    assert names(tmp_path) == {"folder", "link"}
    assert names(tmp_path / "folder") == {"target"}


def test_devices_and_pipes_are_written_to_and_never_replaced(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    with atomic_write(tmp_path / "null") as file:
        file.write(b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert names(tmp_path) == {"null"}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"cannot write .*pipe: No such device"), atomic_write(pipe):
        pass
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with atomic_write(pipe) as file:
            file.write(b"hello")
        assert os.read(reader, 100) == b"hello"
        assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    finally:
        os.close(reader)
    with (
        pytest.raises(InputError, match="cannot write /dev/full: No space left"),
        atomic_write("/dev/full") as file,
    ):
        file.write(b"x")


def test_sockets_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(InputError, match="it is a device or a socket"), atomic_write("socket"):
            pass
        assert stat.S_ISSOCK(os.stat("socket").st_mode)
        with pytest.raises(InputError, match="it is a device or a socket"):
            check_writable("socket")


def test_an_existing_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_protected_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(InputError, match="Permission denied"), atomic_write(path):
        pass
    assert path.read_bytes() == b"old"


def test_the_umask_of_the_process_is_never_changed(tmp_path, monkeypatch):
    """Another thread would create files with it."""
    monkeypatch.setattr(os, "umask", None)
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")


def test_file_and_folder_are_synchronized(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)), fsync(fd))
    )
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert synced == [False, True]


def test_an_os_error_of_the_block_is_not_blamed_on_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_write(tmp_path / "a"):
        (tmp_path / "elsewhere").read_bytes()
    assert names(tmp_path) == set()


def test_a_name_of_the_maximum_length_can_be_written(tmp_path):
    for name in ("x" * 255, "가" * 85):
        with atomic_write(tmp_path / name) as file:
            file.write(b"new")
        assert (tmp_path / name).read_bytes() == b"new"


def test_libraries_can_write_into_it(tmp_path):
    """soundfile seeks, gzip and PIL flush, NumPy looks for a real file."""
    from matplotlib.figure import Figure

    with atomic_write(tmp_path / "a.wav") as file:
        soundfile.write(file, np.zeros(100), 8000, format="WAV")
    assert soundfile.info(tmp_path / "a.wav").frames == 100
    with atomic_write(tmp_path / "a.png") as file:
        Figure().savefig(file, format="png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with atomic_write(tmp_path / "a.gz") as file, gzip.open(file, "wt") as text:
        text.write("hello")
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"hello"
    with atomic_write(tmp_path / "a.npy") as file:
        np.save(file, np.arange(5))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.arange(5))


@pytest.mark.parametrize("threads", [False, True])
def test_only_one_process_or_thread_is_in_a_locked_folder(tmp_path, threads):
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count():
        for _ in range(100):
            with locked_folder(tmp_path):
                counter.write_text(str(int(counter.read_text()) + 1))

    children = []
    for _ in range(3):
        if threads:
            children.append(threading.Thread(target=count))
            children[-1].start()
        elif child := os.fork():
            children.append(child)
        else:
            count()
            os._exit(0)
    for child in children:
        if threads:
            child.join(60)
        else:
            assert os.waitpid(child, 0)[1] == 0
    assert counter.read_text() == "300"
    assert names(tmp_path) == {"counter"}


def test_a_lock_ends_with_its_block_and_with_its_process(tmp_path):
    with pytest.raises(KeyError), locked_folder(tmp_path):
        raise KeyError
    child = os.fork()
    if not child:
        with locked_folder(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with locked_folder(tmp_path):
        pass
    with locked_folder(tmp_path / "not there"):
        pass
