"""Whatever keeps kernels from running is named in one line that says what to do."""

import json
import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from minids import cli, ops
from minids._utils.errors import InputError
from minids.ops import diagnosis, driver
from tests import ROOT

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

LIBRARY = """
#include <stdlib.h>
#include <string.h>
static int number(const char *name) { return atoi(getenv(name)); }
int cuInit(unsigned flags) { return number("STATUS"); }
int cuDriverGetVersion(int *cuda) { return *cuda = number("CUDA"), 0; }
int cuDeviceGetCount(int *count) { return *count = number("GPUS"), 0; }
int cuCtxGetDevice(int *device) { return 201; }
int cuDeviceGetAttribute(int *value, int which, int device) {
  int capability = number("CAPABILITY");
  return *value = which == 75 ? capability / 10 : capability % 10, 0;
}
int cuDeviceGetName(char *name, int size, int device) { return strncpy(name, "Tesla T4", size), 0; }
int cuDeviceTotalMem_v2(size_t *size, int device) { return *size = 15ul << 30, 0; }
"""
COMMON = {"numba-cuda": "0.30.4", "cuda-core": "1.2.2"}
PACKAGES = {  # as the extras install them
    13: {
        **COMMON,
        **{"cuda-bindings": "13.5.0", "nvidia-nvvm": "13.0.88"},
        **{"nvidia-nvjitlink": "13.0.88", "nvidia-cuda-nvrtc": "13.0.88"},
    },
    12: {
        **COMMON,
        **{"cuda-bindings": "12.9.10", "nvidia-cuda-nvcc-cu12": "12.4.131"},
        **{"nvidia-nvjitlink-cu12": "12.4.127", "nvidia-cuda-nvrtc-cu12": "12.4.127"},
    },
}
T4 = {"STATUS": 0, "CUDA": 13000, "GPUS": 1, "CAPABILITY": 75}
UNSET = (
    "COLAB_RELEASE_TAG",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "MINIDS_SIM",
    *diagnosis.VARIABLES,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a libcuda.so.1 that answers what the environment says."""
    folder = tmp_path_factory.mktemp("driver")
    command = ["gcc", "-shared", "-fPIC", "-xc", "-", "-o", folder / "libcuda.so.1"]
    subprocess.run(command, input=LIBRARY, text=True, check=True)
    return folder


@pytest.fixture
def machine(folder, monkeypatch):
    """A machine with a T4; call it with what differs."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)

    def change(packages=PACKAGES[13], place="linux", **environment):
        for name, value in (T4 | environment).items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(driver, "LIBRARY", str(folder / "libcuda.so.1"))
        monkeypatch.setattr(diagnosis, "installed", lambda: packages)
        monkeypatch.setattr(diagnosis, "_place", lambda: place)
        monkeypatch.setattr(diagnosis, "_elsewhere", lambda library: False)

    change()
    return change


def refused(*parts):
    problem = diagnosis.problem()
    assert problem is not None
    assert "\n" not in problem
    assert problem.endswith("; or use --backend cpu")
    for part in parts:
        assert part in problem


@pytest.mark.parametrize(
    ("major", "cuda", "capability"),
    [
        (13, 13000, 75),
        (13, 13020, 120),
        (12, 12040, 75),  # Colab
        (12, 12000, 70),  # the oldest driver, and Volta
        (12, 12080, 90),
        (12, 13000, 70),  # newer drivers run older code
    ],
)
def test_an_extra_suffices_for_its_drivers_and_gpus(machine, major, cuda, capability):
    machine(PACKAGES[major], CUDA=cuda, CAPABILITY=capability)
    assert diagnosis.problem() is None
    assert diagnosis.toolkit().extra == ("cuda" if major == 13 else "cuda12")


def test_driver_gpus_and_packages_are_listed(machine):
    machine(GPUS=2, CUDA=12040)
    facts = diagnosis.facts()
    assert facts["driver"] == "12.4"
    assert facts["gpus"] == [{"name": "Tesla T4", "gigabytes": 15.0, "capability": (7, 5)}] * 2
    assert facts["packages"] == PACKAGES[13]
    assert driver.has_gpu()


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("linux", "no NVIDIA driver answers on this machine; install it"),
        ("win32", "nvidia.com/drivers"),
        ("darwin", "macOS has no NVIDIA driver"),
        ("container", "--gpus all"),
        ("wsl", "install it in Windows, not in WSL"),
        ("notebook", "Runtime > Change runtime type"),
    ],
)
def test_no_driver(machine, monkeypatch, place, part):
    machine(place=place)
    monkeypatch.setattr(driver, "LIBRARY", "libnone.so")
    refused(part)
    assert not driver.has_gpu()
    assert diagnosis.facts()["driver"] is None


@pytest.mark.parametrize(
    ("tag", "file", "release", "place"),
    [
        ("release-colab", "/.dockerenv", "6.6.105+", "notebook"),
        (None, "/.dockerenv", "6.6.87.2-microsoft-standard-WSL2", "container"),
        (None, "/.singularity.d", "5.14.0", "container"),
        (None, None, "6.6.87.2-microsoft-standard-WSL2", "wsl"),
        (None, None, "6.8.0-31-generic", sys.platform),
    ],
)
def test_where_this_process_runs(monkeypatch, tag, file, release, place):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    if tag:
        monkeypatch.setenv("COLAB_RELEASE_TAG", tag)
    monkeypatch.setattr(diagnosis.os.path, "exists", lambda path: path == file)
    monkeypatch.setattr(diagnosis.platform, "release", lambda: release)
    assert diagnosis._place() == place


def test_a_driver_that_is_not_looked_for(machine, monkeypatch, folder):
    monkeypatch.setattr(driver, "LIBRARY", "libcuda.so.1")
    monkeypatch.setattr(diagnosis, "FOLDERS", ("/nowhere", str(folder)))
    refused(f"export LD_LIBRARY_PATH={folder}")


def test_a_container_without_compute(machine, monkeypatch):
    machine(place="container", NVIDIA_DRIVER_CAPABILITIES="utility,video")
    monkeypatch.setattr(driver, "LIBRARY", "libnone.so")
    refused("NVIDIA_DRIVER_CAPABILITIES=utility,video", "add compute")


@pytest.mark.parametrize("status", [0, 100, 101])
def test_no_gpu(machine, status):
    """Some drivers report an error, others that there are none."""
    machine(STATUS=status, GPUS=0)
    refused("sees no GPU", "nvidia-smi -L", "MIG mode")
    machine(STATUS=status, GPUS=0, place="container")
    refused("--gpus all")
    machine(STATUS=status, GPUS=0, place="wsl")
    refused("wsl --update")
    for chosen in ("", "-1", "7", "MIG-c6d4f1ef"):
        machine(STATUS=status, GPUS=0, CUDA_VISIBLE_DEVICES=chosen)
        refused(f"CUDA_VISIBLE_DEVICES={chosen} selects no GPU")


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        (3, ("NOT_INITIALIZED", "forked", "start method spawn")),
        (34, ("STUB_LIBRARY", "out of LD_LIBRARY_PATH")),
        (802, ("SYSTEM_NOT_READY", "nvidia-fabricmanager")),
        (803, ("SYSTEM_DRIVER_MISMATCH", "restart")),
        (804, ("COMPAT_NOT_SUPPORTED_ON_DEVICE", "cuda-compat")),
        (999, ("UNKNOWN", "nvidia_uvm")),
        (304, ("reports 304", "nvidia-smi")),
    ],
)
def test_a_driver_that_does_not_start(machine, status, parts):
    machine(STATUS=status)
    refused(*parts)


@pytest.mark.parametrize(
    ("packages", "cuda", "capability", "parts"),
    [
        ({}, 13000, 75, ("needs a package: pip install 'minids[cuda]'",)),
        ({}, 12040, 75, ("needs a package: pip install 'minids[cuda12]'",)),
        ({}, 13000, 70, ("needs a package: pip install 'minids[cuda12]'",)),  # Volta
        ({}, 11080, 75, ("too old, it runs CUDA 11.8; install 580 or newer",)),
        ({}, 11080, 70, ("too old, it runs CUDA 11.8; install 525 or newer",)),
        ({}, 12080, 120, ("too old, it runs CUDA 12.8; install 580 or newer",)),  # Blackwell
        ({}, 13000, 61, ("capability of this GPU is 6.1, at least 7.0",)),
        ({}, 13000, 130, ("capability of this GPU is 13.0, too new",)),
        (
            PACKAGES[13],
            12040,
            75,
            (
                "CUDA 13 is too new for the driver, which runs 12.4",
                "pip uninstall nvidia-nvvm nvidia-nvjitlink nvidia-cuda-nvrtc",
                "then pip install 'minids[cuda12]', or install driver 580",
            ),
        ),
        (PACKAGES[13], 13000, 70, ("CUDA 13 does not compile for this GPU", "'minids[cuda12]'")),
        (PACKAGES[13], 12040, 70, ("CUDA 13 does not compile for this GPU", "'minids[cuda12]'; or use")),
        (PACKAGES[12], 13000, 120, ("CUDA 12 does not compile for this GPU", "'minids[cuda]'")),
        (
            PACKAGES[13] | PACKAGES[12],
            12040,
            75,
            ("mixed; pip uninstall nvidia-nvvm nvidia-nvjitlink nvidia-cuda-nvrtc, then",),
        ),
        (PACKAGES[13] | PACKAGES[12], 13000, 75, ("mixed; pip install 'minids[cuda]'",)),
        (PACKAGES[12] | {"nvidia-cuda-nvcc-cu12": "12.9.86"}, 12040, 75, ("nvJitLink 12.4.127 is too old",)),
        (PACKAGES[13] | {"nvidia-nvvm": "13.10.1"}, 13000, 75, ("nvJitLink 13.0.88 is too old",)),
        (COMMON | {"cuda-bindings": "13.5.0"}, 13000, 75, ("nvvm, a library", "pip install 'minids[cuda]'")),
        (COMMON | {"cuda-bindings": "11.8.0"}, 13000, 75, ("pip install 'minids[cuda]'",)),
    ],
)
def test_packages_that_do_not_fit(machine, packages, cuda, capability, parts):
    machine(packages, CUDA=cuda, CAPABILITY=capability)
    refused(*parts)


@pytest.mark.parametrize("name", diagnosis.VARIABLES)
def test_variables_that_change_what_kernels_run_on(machine, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    refused(name, "unset it")
    monkeypatch.setenv(name, "0")
    assert diagnosis.problem() is None


def test_packages_of_both_versions_may_be_there(machine):
    """Other programs install CUDA 12's; those of CUDA 13 are found first."""
    machine(PACKAGES[12] | PACKAGES[13])
    assert diagnosis.problem() is None


def test_libraries_may_be_those_of_conda_or_the_system(machine, monkeypatch):
    machine(COMMON | {"cuda-bindings": "13.5.0"})
    monkeypatch.setattr(diagnosis, "_elsewhere", lambda library: True)
    assert diagnosis.problem() is None


def test_the_backend_and_the_commands_say_it(machine, capsys):
    machine(STATUS=803)
    with pytest.raises(InputError, match="restart the machine"):
        ops.load("cuda")
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", "--backend", "cuda"])
    assert end.value.code == 1
    assert "minids: error: the NVIDIA driver reports SYSTEM_DRIVER_MISMATCH" in capsys.readouterr().err


def test_the_check_lists_what_is_there_before(machine, capsys):
    machine({}, CUDA=12040)
    with pytest.raises(SystemExit) as end:
        cli.main(["check", "--backend", "cuda"])
    assert end.value.code == 2
    out, err = capsys.readouterr()
    expected = ["driver     runs CUDA 12.4", "GPU 0      Tesla T4, 15 GB, compute capability 7.5"]
    assert out.splitlines() == [*expected, "packages   none"]
    assert err == "minids: error: " + diagnosis.problem() + "\n"
    with pytest.raises(SystemExit):
        cli.main(["check", "--backend", "cuda", "--json"])
    assert json.loads(capsys.readouterr().out)["problem"] == diagnosis.problem()


def test_the_library_is_found_as_the_system_finds_it(folder):
    command = [sys.executable, "-m", "minids", "check", "--backend", "cuda"]
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    environment |= {"LD_LIBRARY_PATH": str(folder)} | {name: str(value) for name, value in T4.items()}
    done = subprocess.run(
        command, env=environment | {"CAPABILITY": "61"}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout.startswith(
        "driver     runs CUDA 13.0\nGPU 0      Tesla T4, 15 GB, compute capability 6.1\n"
    )
    assert "at least 7.0 is needed" in done.stderr


def test_the_extras_install_these_toolkits():
    """NVVM and nvJitLink of one version: an older nvJitLink could not read NVVM's code."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for major, kit in diagnosis.TOOLKITS.items():
        pins = dict(line.split("==") for line in extras[kit.extra])
        assert f"numba-cuda[cu{major}]" in pins
        assert pins["cuda-toolkit"].startswith(f"{major}.")
        assert pins[kit.libraries["nvJitLink"]] == pins["cuda-toolkit"]
