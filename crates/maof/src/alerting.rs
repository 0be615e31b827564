//! Tells that an account passed a part of its limit, once in its window: the log, metrics, the audit trail, and an address.

use std::sync::Arc;
use std::time::Duration;

use maof_budget::{Alert, AlertConfig, Alerts};
use maof_core::{Audit, AuditRow, Error, Ledger, Observe, Principal, Result, Signal};
use tokio_util::task::TaskTracker;

/// How often an address that does not take an alert is asked.
const TRIES: u32 = 4;
/// Before it is asked again the first time; then twice as long each.
const PAUSE: Duration = Duration::from_millis(500);
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom alerts are told to.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) observe: Arc<dyn Observe>,
    pub(crate) tracker: TaskTracker,
}

/// Looks at accounts as configured.
///
/// # Errors
/// `internal` when no client for the address can be made.
pub(crate) fn alerts(config: &AlertConfig, told: Told) -> Result<Arc<Alerts>> {
    let webhook = match &config.webhook {
        Some(url) => Some(Webhook::new(url)?),
        None => None,
    };
    let tell = move |alert: Alert| {
        let (told, webhook) = (told.clone(), webhook.clone());
        told.tracker.clone().spawn(async move { told.tell(&alert, webhook.as_ref()).await });
    };
    Ok(Arc::new(Alerts::new(config, tell)))
}

impl Told {
    async fn tell(&self, alert: &Alert, webhook: Option<&Webhook>) {
        let Alert { account, start, percent, at } = alert;
        let said = format!("budget.alert|{}|{account}|{}|{percent}", account.tenant, start.micros());
        match self.ledger.first(&said, *at).await {
            Ok(true) => {}
            Ok(false) => return,
            // Better twice than never.
            Err(error) => tracing::warn!(%error, "whether an alert was told before cannot be known"),
        }
        tracing::warn!(tenant = %account.tenant, %account, percent, "an account passed a part of its limit");
        self.observe.on(Signal::BudgetAlert { account: &account.name, percent: *percent });
        self.audit.note(AuditRow {
            at: *at,
            tenant: account.tenant.clone(),
            user: Principal::local().user.clone(),
            action: "budget.alert".to_owned(),
            subject: account.to_string(),
            outcome: format!("{percent} %"),
        });
        if let Some(webhook) = webhook
            && let Err(error) = webhook.send(alert).await
        {
            tracing::error!(%error, %account, percent, "the alert's address did not take it");
        }
    }
}

#[derive(Clone, Debug)]
struct Webhook {
    client: reqwest::Client,
    url: Arc<str>,
}

impl Webhook {
    fn new(url: &str) -> Result<Webhook> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::internal("no client for alerts could be made").because(e))?;
        Ok(Webhook { client, url: url.into() })
    }

    async fn send(&self, alert: &Alert) -> Result<()> {
        let Alert { account, start, percent, at } = alert;
        let body = serde_json::json!({
            "event": "budget.alert",
            "tenant": account.tenant,
            "account": account.name,
            "measure": account.measure,
            "window": account.window,
            "window_start": start.to_string(),
            "percent": percent,
            "at": at.to_string(),
        });
        let mut pause = PAUSE;
        for attempt in 1.. {
            let sent = self.client.post(&*self.url).header("content-type", "application/json");
            let answer =
                sent.body(body.to_string()).send().await.and_then(reqwest::Response::error_for_status);
            match answer {
                Ok(_) => break,
                // What is said of the address stays in the log of whoever configured it.
                Err(error) if attempt >= TRIES => {
                    return Err(Error::unavailable("an alert could not be sent").because(error.without_url()));
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        Ok(())
    }
}
