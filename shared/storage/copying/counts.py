"""What a copy has done so far."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Copied:
    """Numbers that only grow while a copy runs; ``bytes`` are those of the files that were written.

    ``files`` and ``rows`` were not in the target, ``replaced`` were there and differed; ``removed`` and ``dropped`` are files and tables
    that the source has not any more. ``all_files`` and ``all_rows`` are what both have in the end. ``foreign`` names rows of a kind that
    the service does not write and another engine need not hold: they are left out. ``behind`` is by how many seconds the target's clock is
    surely behind the source's.
    """

    files: int = 0
    replaced: int = 0
    removed: int = 0
    bytes: int = 0
    rows: int = 0
    dropped: int = 0
    all_files: int = 0
    all_rows: int = 0
    behind: float = 0.0
    foreign: dict[str, None] = field(default_factory=dict)

    @property
    def is_nothing_new(self) -> bool:
        """Whether the target was equal already."""
        return not (self.files or self.replaced or self.removed or self.rows or self.dropped)
