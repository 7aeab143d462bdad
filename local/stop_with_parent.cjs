// Loaded before Azurite: when the parent process is gone, standard input ends; then stop as on SIGTERM.
process.stdin.resume();
process.stdin.unref(); // waiting for that must not keep a stopped Azurite alive
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
