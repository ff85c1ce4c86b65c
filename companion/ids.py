"""Sets of database ids in little memory: who may see what, for everybody who is signed in.

An id takes one bit: 50,000 items are 6 KB, where a frozenset of Python takes 4 MB.
"""

import zlib
from collections.abc import Iterable, Iterator, Set

_BITS_OF = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


class Ids(Set[int]):
    """An immutable set of whole numbers >= 0. Memory grows with the largest of them."""

    __slots__ = ("_bits", "_count")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        """Raises ValueError for a number below 0."""
        bits = bytearray()
        for each in ids:
            if each < 0:
                raise ValueError(f"{each} is no id")
            if each >> 3 >= len(bits):
                bits.extend(bytes((each >> 3) + 1 - len(bits)))
            bits[each >> 3] |= 1 << (each & 7)
        self._bits = bytes(bits)
        self._count = int.from_bytes(self._bits, "little").bit_count()

    @property
    def bits(self) -> bytes:
        """Bit `id & 7` of byte `id >> 3` says whether the id is in; no zero bytes at the end."""
        return self._bits

    def __contains__(self, each: object) -> bool:
        if not isinstance(each, int) or each < 0 or each >> 3 >= len(self._bits):
            return False
        return bool(self._bits[each >> 3] >> (each & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        """Yield the ids, smallest first."""
        for place, byte in enumerate(self._bits):
            if byte:
                for bit in _BITS_OF[byte]:
                    yield place * 8 + bit

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Ids):
            return self._bits == other._bits
        return super().__eq__(other)

    def __hash__(self) -> int:
        return self._hash()

    def __repr__(self) -> str:
        return f"Ids({self._count} of {zlib.crc32(self._bits):08x})"  # what is in it is private
