"""Features on disk, so that each recording is read and transformed once.

Log powers are stored as float16: they lie between the floor and about 20 nats, so the error is at most 0.008,
while speech varies by 3 to 4. Augmented features change from epoch to epoch and are not stored. Features from
another version of the code are not used, and damaged files are replaced.
"""

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from minids._utils.checksum import array_checksum
from minids._utils.compile_cache import source_digest
from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write, open_file
from minids.data.manifest import Utterance
from minids.features import Features

SOURCES = "features.py", "audio"  # the code that features depend on, files and folders of minids


class FeatureCache:
    """Log powers (T0, F) of recordings, before normalization, in a subfolder for these feature settings.

    Raises InputError if the folder cannot be created.
    """

    def __init__(self, folder: str | Path, features: Features):
        settings = {name: value for name, value in features.to_dict().items() if name != "normalize"}
        version = json.dumps([settings, source_digest(SOURCES)], sort_keys=True)
        self.folder = Path(folder) / hashlib.blake2b(version.encode(), digest_size=8).hexdigest()
        self.size = features.size
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create the folder {folder}: {reason(error)}; choose another") from error
        self._disk_full = False

    def read(self, utterance: Utterance) -> np.ndarray | None:
        """The stored log powers (T0, F) float32 of this version of the recording, or None."""
        if (path := self.path(utterance)) is None:
            return None
        try:
            with open_file(path) as raw, np.load(raw) as file:
                stored, checksum = file["log_powers"], int(file["checksum"])
        except Exception:  # missing, or damaged in any way
            return None
        if stored.dtype != np.float16 or stored.ndim != 2 or stored.shape[1] != self.size:
            return None
        if not len(stored) or checksum != _checksum(stored) or not np.isfinite(stored).all():
            return None
        return stored.astype(np.float32)

    def write(self, path: Path | None, log_powers: np.ndarray) -> np.ndarray:
        """Store log powers. Returns what `read` will return, so that all epochs agree.

        `path` is what `self.path` returned before the recording was read: it may have been replaced since.
        After the first failure (a full disk) nothing more is stored, with one warning.
        """
        stored = log_powers.astype(np.float16)
        if path and not self._disk_full:
            try:
                with atomic_write(path) as file:
                    np.savez(file, log_powers=stored, checksum=np.int64(_checksum(stored)))
            except (InputError, OSError) as error:
                self._disk_full = True
                warnings.warn(f"the feature cache is off: {error}", stacklevel=2)
        return stored.astype(np.float32)

    def path(self, utterance: Utterance) -> Path | None:
        """The file of an utterance: its name depends on the recording (path, size, time) and the part.

        None for a recording that is missing.
        """
        try:
            status = os.stat(utterance.path)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return None
        part = f"{utterance.start!r} {utterance.end!r} {utterance.channel}"
        identity = f"{os.path.abspath(utterance.path)} {status.st_size} {status.st_mtime_ns} {part}"
        return self.folder / f"{hashlib.blake2b(os.fsencode(identity), digest_size=16).hexdigest()}.npz"


def _checksum(log_powers: np.ndarray) -> int:
    return array_checksum("log powers", {"log_powers": log_powers})
