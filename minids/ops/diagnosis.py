"""Why kernels cannot run here, and what to do about it, in one line and without importing a CUDA package.

Each case was reported by people whose GPU did not work with Numba, PyTorch or another program.
"""

import os
import platform
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from minids._utils.errors import InputError
from minids.ops import driver


class Toolkit(NamedTuple):
    """What an extra of pyproject.toml installs, and for which drivers and GPUs it compiles."""

    extra: str
    cuda: int  # the oldest driver, by the CUDA that it runs: 13000 is 13.0
    release: str  # and by the number of its release
    oldest: tuple[int, int]  # compute capability
    newest: tuple[int, int]
    libraries: dict[str, str]  # the package of each of the compiler's libraries


# CUDA 13.0: Turing to Blackwell. CUDA 12.4: Volta to Hopper.
NEWER = Toolkit(
    *("cuda", 13000, "580", (7, 5), (12, 1)),
    {"nvvm": "nvidia-nvvm", "nvJitLink": "nvidia-nvjitlink", "nvrtc": "nvidia-cuda-nvrtc"},
)
OLDER = Toolkit(
    *("cuda12", 12000, "525", (7, 0), (9, 0)),
    {
        "nvvm": "nvidia-cuda-nvcc-cu12",
        "nvJitLink": "nvidia-nvjitlink-cu12",
        "nvrtc": "nvidia-cuda-nvrtc-cu12",
    },
)
TOOLKITS = {"13": NEWER, "12": OLDER}  # by the major version of CUDA
FOLDERS = "/usr/lib/wsl/lib", "/usr/lib64-nvidia"  # of the driver's library, in WSL and Colab

VARIABLES = {  # with which results would not be those of this GPU, or of one operation after the other
    "NUMBA_ENABLE_CUDASIM": "puts Numba's simulator in place of the GPU",
    "CUDA_PYTHON_CUDA_PER_THREAD_DEFAULT_STREAM": "lets operations of several threads overlap, which share"
    " memory on the GPU",
}
ERRORS = {  # of cuInit, by their numbers
    **{3: "NOT_INITIALIZED", 34: "STUB_LIBRARY", 46: "DEVICE_UNAVAILABLE"},
    **{100: "NO_DEVICE", 101: "INVALID_DEVICE"},
    **{802: "SYSTEM_NOT_READY", 803: "SYSTEM_DRIVER_MISMATCH", 804: "COMPAT_NOT_SUPPORTED_ON_DEVICE"},
    999: "UNKNOWN",
}
ADVICE = {
    "NOT_INITIALIZED": "this process was forked from one that uses the driver; use the start method spawn,"
    " see multiprocessing.set_start_method",
    "LAUNCH_TIMEOUT": "a GPU that also drives a screen must not compute for seconds on end;"
    " use a smaller batch",
    "STUB_LIBRARY": "the empty libcuda of a CUDA toolkit is loaded; take its folder, lib/stubs, out of"
    " LD_LIBRARY_PATH",
    "DEVICE_UNAVAILABLE": "another process has this GPU to itself; nvidia-smi names it, and the compute mode",
    "SYSTEM_NOT_READY": "GPUs that NVSwitch connects need a service of the driver's version:"
    " sudo systemctl start nvidia-fabricmanager",
    "SYSTEM_DRIVER_MISMATCH": "the driver was updated after it had been loaded; restart the machine",
    "COMPAT_NOT_SUPPORTED_ON_DEVICE": "the libcuda of a cuda-compat package is loaded, which does not support"
    " this GPU; take its folder, compat, out of LD_LIBRARY_PATH, or update the driver",
    "UNKNOWN": "restart the machine, or, after a suspend, sudo modprobe -r nvidia_uvm &&"
    " sudo modprobe nvidia_uvm",
}
NO_DRIVER = {  # by place
    "notebook": "this notebook has no GPU; choose one (Colab: Runtime > Change runtime type; Kaggle: Settings"
    " > Accelerator)",
    "container": "no NVIDIA driver is in this container; if the host has one, start the container with docker"
    " run --gpus all (which needs the NVIDIA Container Toolkit) or apptainer exec --nv",
    "wsl": "no NVIDIA driver is in WSL; install it in Windows, not in WSL, then wsl --update, wsl --shutdown",
    "linux": "no NVIDIA driver answers on this machine; install it from your distribution or from"
    " nvidia.com/drivers, and restart",
    "win32": "no NVIDIA driver answers; install it from nvidia.com/drivers",
    "darwin": "macOS has no NVIDIA driver",
}
NO_GPU = {
    "container": "the NVIDIA driver sees no GPU in this container; start it with docker run --gpus all or"
    " apptainer exec --nv",
    "wsl": "the NVIDIA driver sees no GPU; remove any NVIDIA driver that was installed in WSL, which uses"
    " that of Windows, then wsl --update, wsl --shutdown",
}


def require() -> None:
    """Raises InputError if there is a problem."""
    if (found := problem()) is not None:
        raise InputError(found)


def problem() -> str | None:
    """What is missing, and what to do; None if kernels can run, on the GPU or in the simulator."""
    if driver.simulated():
        missing = find_spec("greenlet") is None
        return "the simulator of a GPU needs a package: pip install greenlet" if missing else None
    found = _driver_problem() or _package_problem()
    return found and f"{found}; or use --backend cpu"


def facts() -> dict[str, Any]:
    """What is here: the newest CUDA that the driver runs, GPUs, packages."""
    try:
        cuda = _dotted(driver.version())
    except OSError:
        cuda = None
    gpus = [gpu._asdict() for gpu in driver.gpus()] if driver.has_gpu() else []
    return {"driver": cuda, "gpus": gpus, "packages": installed()}


def installed() -> dict[str, str]:
    """The version of each package that compiles or launches kernels."""
    libraries = (package for toolkit in TOOLKITS.values() for package in toolkit.libraries.values())
    versions = {}
    for name in ("numba-cuda", "cuda-bindings", "cuda-core", *libraries):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def toolkit() -> Toolkit | None:
    """The toolkit in use, which that of cuda-bindings is; None without one."""
    return TOOLKITS.get(installed().get("cuda-bindings", "").partition(".")[0])


def _driver_problem() -> str | None:
    place, visible = _place(), os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    try:
        status = driver.start()
    except OSError:
        return _no_library(place)
    error = ERRORS.get(status, str(status))
    if error in ("NO_DEVICE", "INVALID_DEVICE") or (status == 0 and driver.count() == 0):
        if visible.partition(",")[0] != "0":
            return f"CUDA_VISIBLE_DEVICES={visible} selects no GPU; unset it, or see nvidia-smi -L for names"
        return NO_GPU.get(place) or (
            "the NVIDIA driver sees no GPU; nvidia-smi -L must list one, and in MIG mode also an instance of"
            " it, which nvidia-smi mig -cgi ... -C creates"
        )
    if status:
        return f"the NVIDIA driver reports {error}: {ADVICE.get(error, 'nvidia-smi may tell more')}"
    return None


def _no_library(place: str) -> str:
    for folder in FOLDERS:
        if Path(folder, driver.LIBRARY).exists():
            return f"{driver.LIBRARY} is not looked for where it is; export LD_LIBRARY_PATH={folder}"
    capabilities = os.environ.get("NVIDIA_DRIVER_CAPABILITIES", "all")
    if not {"compute", "all"} & set(capabilities.split(",")):
        return f"NVIDIA_DRIVER_CAPABILITIES={capabilities} keeps CUDA out of this container; add compute"
    return NO_DRIVER.get(place, NO_DRIVER["linux"])


def _package_problem() -> str | None:
    for name, effect in VARIABLES.items():
        if os.environ.get(name, "0") != "0":
            return f"{name} {effect}; unset it"
    cuda, capability = driver.version(), driver.capability()
    suitable = [kit for kit in TOOLKITS.values() if kit.oldest <= capability <= kit.newest]
    if not suitable:
        bound = "at least 7.0 is needed" if capability < OLDER.oldest else "too new for CUDA 13.0"
        return f"the compute capability of this GPU is {_dots(capability)}, {bound}"
    best = next((kit for kit in suitable if kit.cuda <= cuda), None)
    if best is None:
        release = suitable[0].release
        return f"the NVIDIA driver is too old, it runs CUDA {_dotted(cuda)}; install {release} or newer"
    packages, kit, install = installed(), toolkit(), f"pip install 'minids[{best.extra}]'"
    newer = [name for name in NEWER.libraries.values() if name in packages]
    if best is OLDER and newer:  # they are found first
        install = f"pip uninstall {' '.join(newer)}, then {install}"
    if "numba-cuda" not in packages or kit is None:
        return f"the backend cuda needs a package: {install}"
    if kit not in suitable:
        return (
            f"the installed CUDA {kit.cuda // 1000} does not compile for this GPU,"
            f" whose compute capability is {_dots(capability)}; {install}"
        )
    if kit.cuda > cuda:
        return (
            f"the installed CUDA {kit.cuda // 1000} is too new for the driver, which runs {_dotted(cuda)};"
            f" {install}, or install driver {kit.release} or newer"
        )
    if kit is OLDER and newer:
        return f"packages of CUDA 12 and 13 are mixed; {install}"
    again = f"pip install 'minids[{kit.extra}]'"
    for library, package in kit.libraries.items():
        if package not in packages and not _elsewhere(library):
            return f"{library}, a library of the compiler, is missing; {again}"
    compiler, linker = (packages.get(kit.libraries[name]) for name in ("nvvm", "nvJitLink"))
    if compiler and linker and _release(linker) < _release(compiler):
        return f"nvJitLink {linker} is too old for the code of NVVM {compiler}; {again}"
    return None


def _place() -> str:
    """Where this process runs, which decides what helps."""
    if "COLAB_RELEASE_TAG" in os.environ:  # Kaggle has it, too
        return "notebook"
    marks = "/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io", "/.singularity.d"
    if any(map(os.path.exists, marks)):
        return "container"
    return "wsl" if "microsoft" in platform.release().lower() else sys.platform


def _elsewhere(library: str) -> bool:
    """Whether a library without a package is in a toolkit of Conda or of the system."""
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    try:
        load_nvidia_dynamic_lib(library)
    except (DynamicLibNotFoundError, OSError, RuntimeError):
        return False
    return True


def _dotted(cuda: int) -> str:
    return f"{cuda // 1000}.{cuda % 1000 // 10}"


def _dots(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))
