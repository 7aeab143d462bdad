"""Binary joined logs of the client libraries, FlatBuffers in a row of messages, read as lines of dsjson."""
