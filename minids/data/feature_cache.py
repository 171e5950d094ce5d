"""Features kept on disk, so that a recording is read and transformed once: half the size of floats.

A frame's log powers lie between the floor and some 20 nats; in float16 they are off by 0.008 at most, where
speech varies by 3 to 4. What changes from epoch to epoch (noise, speed, shift) cannot be kept.
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
    """The log powers (T0, F) of recordings, before normalization, in a folder for these features.

    Raises InputError when the folder cannot be made.
    """

    def __init__(self, folder: str | Path, features: Features):
        # Whose mean and deviation are taken out afterwards does not matter.
        settings = {name: value for name, value in features.to_dict().items() if name != "normalize"}
        self.folder = Path(folder) / f"{zlib.crc32(json.dumps(settings, sort_keys=True).encode()):08x}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder}: {reason(error)}; choose another") from error
        self._full = False

    def read(self, recording: Path) -> np.ndarray | None:
        """What was kept of the recording as it is now, (T0, F) float32; None if nothing was."""
        try:
            return np.load(self._path(recording)).astype(np.float32)
        except (OSError, ValueError, EOFError):  # not there, or not ours
            return None

    def write(self, recording: Path, raw: np.ndarray) -> np.ndarray:
        """Keep the log powers of the recording as it is now. Returns what `read` will: all epochs agree.

        A folder that is full costs time, not a recording: from then on nothing more is kept, with a warning.
        """
        kept = raw.astype(np.float16)
        if not self._full:
            try:
                with atomic_write(self._path(recording)) as file:
                    np.save(file, kept)
            except InputError as error:
                self._full = True
                warnings.warn(f"features are not kept any more: {error}", stacklevel=2)
        return kept.astype(np.float32)

    def _path(self, recording: Path) -> Path:
        """A name that another recording, or the same one changed, does not have."""
        status = os.stat(recording)
        identity = f"{os.path.abspath(recording)} {status.st_size} {status.st_mtime_ns}"
        return self.folder / f"{hashlib.blake2b(os.fsencode(identity), digest_size=16).hexdigest()}.npy"
