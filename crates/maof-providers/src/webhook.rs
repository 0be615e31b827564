//! An address that is told of events: JSON by POST, again a few times where it does not take one.
//!
//! ```
//! let _ = rustls::crypto::ring::default_provider().install_default();
//! let webhook = maof_providers::Webhook::new("https://hooks.example/budget")?;
//! # let _ = webhook;
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use maof_core::{Error, Result};
use serde_json::Value;

/// How often an address that does not take an event is asked.
const TRIES: u32 = 4;
/// Before it is asked again the first time; then twice as long each.
const PAUSE: Duration = Duration::from_millis(500);
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// An address that is told of events. Cheap to clone.
#[derive(Clone)]
pub struct Webhook {
    client: reqwest::Client,
    url: Arc<str>,
}

impl Webhook {
    /// The address; redirects are not followed.
    ///
    /// # Errors
    /// `internal` when no client can be made.
    pub fn new(url: &str) -> Result<Webhook> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::internal("no client for a webhook could be made").because(e))?;
        Ok(Webhook { client, url: url.into() })
    }

    /// Sends an event; up to four times within some twenty-five seconds. What arrived and was not acknowledged arrives again.
    ///
    /// # Errors
    /// `unavailable`; the address is not in the message.
    pub async fn send(&self, event: &Value) -> Result<()> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let sent = self.client.post(&*self.url).header("content-type", "application/json");
            let sent = sent.body(event.to_string()).send().await;
            match sent.and_then(reqwest::Response::error_for_status) {
                Ok(_) => break,
                Err(error) if attempt >= TRIES => {
                    let why = "the webhook did not take an event";
                    return Err(Error::unavailable(why).because(error.without_url()));
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        Ok(())
    }
}

impl fmt::Debug for Webhook {
    /// Addresses of webhooks are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook(***)")
    }
}
