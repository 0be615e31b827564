//! Tells that an account passed a part of its limit, once in its window: the log, metrics, the audit trail, and an address.

use std::sync::Arc;

use maof_budget::{Alert, AlertConfig, Alerts};
use maof_core::{Audit, AuditRow, Ledger, Observe, Principal, Result, Signal};
use maof_providers::Webhook;
use tokio_util::task::TaskTracker;

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
        Some(url) => Some(Webhook::new(url.expose())?),
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
            && let Err(error) = webhook.send(&event(alert)).await
        {
            tracing::error!(%error, %account, percent, "the alert's address did not take it");
        }
    }
}

/// What an address is sent.
fn event(Alert { account, start, percent, at }: &Alert) -> serde_json::Value {
    serde_json::json!({
        "event": "budget.alert",
        "tenant": account.tenant,
        "account": account.name,
        "measure": account.measure,
        "window": account.window,
        "window_start": start.to_string(),
        "percent": percent,
        "at": at.to_string(),
    })
}
