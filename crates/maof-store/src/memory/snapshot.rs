//! States of parts of the process, in memory: for those who start anew in the same process.

use async_trait::async_trait;
use bytes::Bytes;
use maof_core::{Error, MAX_SNAPSHOT, Origin, Result, Snapshots};

use super::MemoryStore;

#[async_trait]
impl Snapshots for MemoryStore {
    async fn keep(&self, part: &'static str, bytes: Bytes) -> Result<()> {
        refuse_too_large(part, &bytes)?;
        self.snapshots.lock().insert(part, bytes);
        Ok(())
    }

    async fn kept(&self, part: &'static str) -> Result<Option<Bytes>> {
        Ok(self.snapshots.lock().get(part).cloned())
    }
}

pub(crate) fn refuse_too_large(part: &str, bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_SNAPSHOT {
        return Ok(());
    }
    let why = format!("`{part}` has {} bytes; at most {MAX_SNAPSHOT} are kept", bytes.len());
    Err(Error::too_large(why).origin_is(Origin::Store))
}
