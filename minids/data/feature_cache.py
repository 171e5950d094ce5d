"""Features on disk, so that each recording is read and transformed once.

Log powers are stored as float16: they lie between the floor and about 20 nats, so the error is at most 0.008,
while speech varies by 3 to 4. Augmented features change from epoch to epoch and are not stored.
"""

import hashlib
import json
import os
import warnings
import zlib
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write
from minids.features import Features


class FeatureCache:
    """Log powers (T0, F) of recordings, before normalization, in a subfolder for these feature settings.

    Raises InputError if the folder cannot be created.
    """

    def __init__(self, folder: str | Path, features: Features):
        # Normalization comes after the cache.
        settings = {name: value for name, value in features.to_dict().items() if name != "normalize"}
        self.folder = Path(folder) / f"{zlib.crc32(json.dumps(settings, sort_keys=True).encode()):08x}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create the folder {folder}: {reason(error)}; choose another") from error
        self._disk_full = False

    def read(self, recording: Path) -> np.ndarray | None:
        """The stored log powers (T0, F) float32 of this version of the recording, or None."""
        try:
            return np.load(self._path(recording)).astype(np.float32)
        except (OSError, ValueError, EOFError):  # missing or damaged
            return None

    def write(self, recording: Path, log_powers: np.ndarray) -> np.ndarray:
        """Store the log powers of a recording. Returns what `read` will return, so that all epochs agree.

        After the first failure (a full disk) nothing more is stored, with one warning.
        """
        stored = log_powers.astype(np.float16)
        if not self._disk_full:
            try:
                with atomic_write(self._path(recording)) as file:
                    np.save(file, stored)
            except InputError as error:
                self._disk_full = True
                warnings.warn(f"the feature cache is off: {error}", stacklevel=2)
        return stored.astype(np.float32)

    def _path(self, recording: Path) -> Path:
        """The file of a recording; its name depends on path, size and time of modification."""
        status = os.stat(recording)
        identity = f"{os.path.abspath(recording)} {status.st_size} {status.st_mtime_ns}"
        return self.folder / f"{hashlib.blake2b(os.fsencode(identity), digest_size=16).hexdigest()}.npy"
