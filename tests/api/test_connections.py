"""Clients' share of a process's connections."""

from gateway.api.connections import Connections, share_of_clients


class Connection:
    """One that notes whether it was told to close, and closes later, as an event loop does."""

    told = False

    def make_room(self) -> None:
        """Note it."""
        self.told = True


def test_what_made_room_is_not_counted() -> None:
    """The connection that it gave way to is not one too many while the other still closes."""
    connections = Connections()
    opened = [Connection() for _ in range(share_of_clients() + 1)]
    for connection in opened:
        connections.opened(connection)
    assert [connection.told for connection in opened[:2]] == [True, False]
    assert not connections.crowded
    connections.closed(opened[0])
    assert not connections.crowded


def test_busy_ones_make_no_room() -> None:
    """Where none is idle there is one too many, until one of them has gone."""
    connections = Connections()
    opened = [Connection() for _ in range(share_of_clients())]
    for connection in opened:
        connections.opened(connection)
        connections.rests(connection, idle=False)
    connections.opened(Connection())
    assert not any(connection.told for connection in opened)
    assert connections.crowded
    connections.closed(opened[0])
    assert not connections.crowded
