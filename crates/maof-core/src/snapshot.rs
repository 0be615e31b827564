//! What parts of this process know, kept for its next start.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;

/// Keeps the latest state of parts of this process under their names, such as what the router learned. Not for what
/// belongs to a tenant and is asked for by one: nothing here is given to callers.
#[async_trait]
pub trait Snapshots: Send + Sync + fmt::Debug {
    /// Keeps this instead of what was kept under the name, as durably as steps are.
    ///
    /// # Errors
    /// `too_large` above [`MAX_SNAPSHOT`]; `unavailable` when the store cannot be reached.
    async fn keep(&self, part: &'static str, bytes: Bytes) -> Result<()>;

    /// What was kept last under the name.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached.
    async fn kept(&self, part: &'static str) -> Result<Option<Bytes>>;
}

/// The most bytes that one part may have kept: 128 MiB.
pub const MAX_SNAPSHOT: usize = 128 << 20;
