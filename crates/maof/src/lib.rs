//! The orchestrator to embed: configuration, the call path, two doors.
