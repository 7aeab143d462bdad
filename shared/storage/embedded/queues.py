"""The queues of a store: one database, in which a message stays until it is deleted. What is seen when goes by the store's own time."""

import math
import secrets
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from shared.domain.clock import from_micros, to_micros
from shared.domain.errors import StorageUnavailableError
from shared.storage.embedded.database import Database, Schema
from shared.storage.embedded.times import FolderTime
from shared.storage.ports import Message

QUEUES: Final = Schema(
    "the queues of a store",
    1,
    (
        "CREATE TABLE messages(id TEXT PRIMARY KEY, queue TEXT NOT NULL, text TEXT NOT NULL, inserted INTEGER NOT NULL,"
        " visible INTEGER NOT NULL, count INTEGER NOT NULL DEFAULT 0, receipt TEXT NOT NULL DEFAULT '')",
        "CREATE INDEX by_time ON messages(queue, visible)",
    ),
)
MESSAGE_BYTES: Final = 64 * 1024


class Queues:
    """The queues of one store in one process; any thread may ask."""

    def __init__(self, folder: Path, time: FolderTime, *, maintain: Callable[[Callable[[], None]], None]) -> None:
        self._time = time
        self._maintain = maintain
        self.database = Database(folder / "queue.db", QUEUES)

    def send(self, queue: str, text: str, *, after: timedelta, life: timedelta | None = None, due: float) -> None:
        """Put a message in; one with a life takes the place of those in the queue that are older than that and that nobody holds."""
        if len(text.encode("utf-8", "surrogatepass")) > MESSAGE_BYTES:
            raise StorageUnavailableError(f"a message may have {MESSAGE_BYTES} bytes")
        at = self._time.now()
        told = (secrets.token_hex(16), queue, text, to_micros(at), to_micros(at + timedelta(seconds=math.ceil(after.total_seconds()))))

        def job(connection: sqlite3.Connection) -> None:
            if life is not None:
                past = (queue, to_micros(at), to_micros(at - life))
                connection.execute("DELETE FROM messages WHERE queue = ? AND visible <= ? AND inserted <= ?", past)
            connection.execute("INSERT INTO messages(id, queue, text, inserted, visible) VALUES (?, ?, ?, ?, ?)", told)

        self.database.write(job, due=due)
        if self.database.claim_checkpoint():
            self._maintain(lambda: self.database.checkpoint(due=math.inf))

    def receive(self, queue: str, *, most: int, hidden_for: timedelta, due: float) -> list[Message]:
        """Take messages that can be seen; looking for one where there is none writes nothing."""
        at = to_micros(self._time.now())
        until = to_micros(self._time.now() + hidden_for)

        def seen(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return connection.execute(
                "SELECT id, text, inserted, count FROM messages WHERE queue = ? AND visible <= ? ORDER BY visible, rowid LIMIT ?",
                (queue, at, most),
            ).fetchall()

        def job(connection: sqlite3.Connection) -> list[Message]:
            taken = []
            for identity, text, inserted, count in seen(connection):
                receipt = secrets.token_hex(8)
                connection.execute(
                    "UPDATE messages SET visible = ?, count = ?, receipt = ? WHERE id = ?", (until, count + 1, receipt, identity)
                )
                taken.append(Message(identity, receipt, text, count + 1, from_micros(inserted), from_micros(until)))
            return taken

        return self.database.write(job, due=due) if self.database.read(seen, due=due) else []

    def hide(self, queue: str, message: Message, *, during: timedelta, due: float) -> Message:
        """Hide a received message from now on for that time."""
        until, receipt = to_micros(self._time.now() + during), secrets.token_hex(8)
        changed = self._write(
            "UPDATE messages SET visible = ?, receipt = ? WHERE id = ? AND queue = ? AND receipt = ?",
            (until, receipt, message.id, queue, message.receipt),
            due,
        )
        if not changed:
            raise StorageUnavailableError("a message is gone, or another has received it meanwhile")
        return Message(message.id, receipt, message.text, message.dequeue_count, message.inserted, from_micros(until), message.expires)

    def delete(self, queue: str, message: Message, *, due: float) -> None:
        """Delete a received message."""

        def job(connection: sqlite3.Connection) -> bool:
            found = connection.execute("SELECT receipt FROM messages WHERE id = ? AND queue = ?", (message.id, queue)).fetchone()
            if found is None:
                return True
            connection.execute("DELETE FROM messages WHERE id = ? AND receipt = ?", (message.id, message.receipt))
            return bool(found[0] == message.receipt)

        if not self.database.write(job, due=due):
            raise StorageUnavailableError("another has received the message meanwhile")

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _write(self, statement: str, values: tuple[Any, ...], due: float) -> int:
        return self.database.write(lambda connection: connection.execute(statement, values).rowcount, due=due)
