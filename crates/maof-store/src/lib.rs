//! Remembers: memory and SQLite behind the store ports.
