"""Lets a producer run a bounded way ahead of its consumer, in a thread of its own."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

BATCH = 16  # items handed over at once: one lock for all of them
DEPTH = 4  # batches that may wait: some 7 MB of small frames
_LOOK_EVERY_S = 0.1  # how soon a waiting producer notices that nobody wants more

T = TypeVar("T")


class Ahead(Generic[T]):
    """Iterates over source in another thread. What source raises is raised from the iteration.

    Use it in a with statement: leaving it stops the thread and waits for its end, so that source is
    closed where it ran.
    """

    def __init__(self, source: Iterable[T], *, batch: int = BATCH, depth: int = DEPTH) -> None:
        self._source = source
        self._batch = batch
        self._channel: queue.Queue[list[T] | BaseException | None] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while isinstance(what := self._channel.get(), list):
            yield from what
        if what is not None:
            raise what

    def _work(self) -> None:
        end: BaseException | None = None
        some: list[T] = []
        items = iter(self._source)
        try:
            for item in items:
                some.append(item)
                if len(some) >= self._batch:
                    if not self._put(some):
                        break
                    some = []
        except BaseException as error:  # noqa: BLE001  # raised again by the consumer
            end = error
        if isinstance(items, Generator):
            items.close()  # here, not where the last reference happens to go
        self._put(some)
        self._put(end)

    def _put(self, what: list[T] | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._channel.put(what, timeout=_LOOK_EVERY_S)
            except queue.Full:
                continue
            return True
        return False
