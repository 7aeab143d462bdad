"""The engine on an account of Azure Storage, or its emulator: the only part that knows the SDK of Azure Storage."""
