"""Reads the packets of single streams of an open film, passing over damage."""

from collections.abc import Collection, Iterator
from typing import Any

import av
from av.stream import Discard

from scanners.refusals import read_error

MAX_ERRORS = 100  # in a row; a file that is damaged to its end would never be read through


def skip_other_streams(container: Any, wanted: Collection[int]) -> None:
    """Have the demuxer pass over all streams but these; MP4 then jumps over their bytes."""
    for stream in container.streams:
        if stream.index not in wanted:
            stream.discard = Discard.all


def packets(container: Any) -> Iterator[Any]:
    """Give the packets of all streams that are not skipped, in the order of the file.

    Raises StageError if the disk fails; a damaged place is passed over.
    """
    errors = 0
    while errors < MAX_ERRORS:
        try:
            for packet in container.demux():
                errors = 0
                yield packet
            return
        except (av.FFmpegError, MemoryError) as error:
            problem = read_error(error)
            if not problem.permanent:
                raise problem from error
            errors += 1
