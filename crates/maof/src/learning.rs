//! What the router learned outlives the process: it is loaded at the start, and kept each minute and at the end.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Result, Snapshots};
use maof_router::Router;
use parking_lot::Mutex;

use crate::live::{Live, Now};

/// How often it is looked whether anything new was learned.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps what the router learned, whichever decides now.
pub(crate) struct Learning {
    live: Arc<Now<Live>>,
    store: Arc<dyn Snapshots>,
    /// What was kept last, as hashes: what is the same is not written again.
    last: Mutex<HashMap<&'static str, u64>>,
}

impl Learning {
    /// Lets the router go on from what the process before this one knew. What cannot be read is passed by and told in the
    /// log: a router that knows less serves all the same.
    pub(crate) async fn resume(
        router: &Router,
        live: Arc<Now<Live>>,
        store: Arc<dyn Snapshots>,
    ) -> Result<Learning> {
        for part in Router::PARTS {
            let Some(bytes) = store.kept(part).await? else { continue };
            if let Err(error) = router.resume(part, &bytes) {
                tracing::warn!(part, error.message = error.message(), "what was learned before is lost");
            }
        }
        Ok(Learning { live, store, last: Mutex::default() })
    }

    /// Keeps it again and again, until the process is to end.
    pub(crate) async fn keep_on(self: Arc<Self>, closing: tokio_util::sync::CancellationToken) {
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(EVERY) => self.keep().await,
            }
        }
    }

    /// Keeps what is new. What cannot be kept is told in the log, and tried again the next time.
    pub(crate) async fn keep(&self) {
        if let Err(error) = self.try_keep().await {
            tracing::error!(error = ?error, "what the router learned could not be kept");
        }
    }

    async fn try_keep(&self) -> Result<()> {
        for (part, bytes) in self.live.get().route.parts()? {
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            if self.last.lock().get(part) == Some(&hasher.finish()) {
                continue;
            }
            self.store.keep(part, bytes.into()).await?;
            self.last.lock().insert(part, hasher.finish());
        }
        Ok(())
    }
}
