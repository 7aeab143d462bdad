"""The embedded engine: one folder of one machine, on the standard library's sqlite3, behind the ports of storage.

A table of rows is a database file of its own, and goes with it. Large files are files; a catalogue names them. An answer comes when what
it tells is on the disk.
"""
