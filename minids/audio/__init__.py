"""Sound files and samples.

files.py       load_audio, audio_info, save_audio
processing.py  resample, mix, shift (with polyphase.py, compiled)
reading.py     open and decode files
containers.py  where a file's samples really end (with streams.py for FLAC and Ogg, mpeg.py, spans.py)
ffmpeg.py      formats that libsndfile cannot read

Samples are float32 in [-1, 1], one channel, shape (N,); rates are in Hz.
"""

from minids.audio.files import SOUND_SUFFIXES, AudioWarning, audio_info, load_audio, save_audio
from minids.audio.processing import mix, resample, shift
from minids.audio.reading import AudioInfo

__all__ = [
    "SOUND_SUFFIXES",
    "AudioInfo",
    "AudioWarning",
    "audio_info",
    "load_audio",
    "mix",
    "resample",
    "save_audio",
    "shift",
]
