//! Who is told that an account passed a part of its limit.
//!
//! An account is looked at whenever it is held. Which parts were passed is remembered here, so that a call costs a look-up;
//! that each is told once in its window, by whichever process, is for whoever is told ([`maof_core::Ledger::first`]).

use std::collections::HashMap;
use std::fmt;

use maof_core::{Account, Error, Result, Secret, Timestamp};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Accounts whose alerts are remembered; beyond them all are forgotten, and told again to who tells them once.
const REMEMBERED: usize = 16_384;

/// When it is told that money runs out.
///
/// ```
/// let config: maof_budget::AlertConfig = serde_json::from_str(r#"{"at_percent": [50, 90, 100]}"#)?;
/// config.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertConfig {
    /// Parts of a limit, in percent, 1 to 100 and rising: when an account passes one, that is told once in its window.
    /// Default `[80, 100]`; empty for never.
    pub at_percent: Vec<u8>,
    /// An address that each alert is sent to as JSON, by POST; up to four times until it is taken. Never shown: write it as
    /// `${ALERT_WEBHOOK}`. Default: none.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub webhook: Option<Secret>,
}

impl Default for AlertConfig {
    fn default() -> Self {
        AlertConfig { at_percent: vec![80, 100], webhook: None }
    }
}

impl AlertConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        let rising = self.at_percent.is_sorted_by(|a, b| a < b);
        if !rising || !self.at_percent.iter().all(|percent| (1..=100).contains(percent)) {
            return Err(Error::invalid_request("must rise, each 1 to 100").param("at_percent"));
        }
        let known =
            |url: &Secret| ["https://", "http://"].iter().any(|scheme| url.expose().starts_with(scheme));
        match self.webhook.as_ref().is_none_or(known) {
            true => Ok(()),
            false => Err(Error::invalid_request("must begin with https:// or http://").param("webhook")),
        }
    }
}

/// An account that passed a part of its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The account.
    pub account: Account,
    /// When its window began.
    pub start: Timestamp,
    /// The part, in percent.
    pub percent: u8,
    /// When that was seen.
    pub at: Timestamp,
}

/// Looks at accounts.
pub struct Alerts {
    at_percent: Vec<u8>,
    tell: Box<dyn Fn(Alert) + Send + Sync>,
    /// The highest part that was told of an account, and in which window.
    told: Mutex<HashMap<Account, (Timestamp, u8), ahash::RandomState>>,
}

impl Alerts {
    /// Tells `tell`, which must neither block nor fail, each part once in a window as far as this process remembers.
    pub fn new(config: &AlertConfig, tell: impl Fn(Alert) + Send + Sync + 'static) -> Alerts {
        Alerts { at_percent: config.at_percent.clone(), tell: Box::new(tell), told: Mutex::default() }
    }

    /// The least part that is told.
    pub(crate) fn from(&self) -> u8 {
        self.at_percent.first().copied().unwrap_or(u8::MAX)
    }

    /// So much of an account is taken.
    pub(crate) fn look(&self, account: &Account, percent: u8, now: Timestamp) {
        let Some(passed) = self.at_percent.iter().rev().find(|at| **at <= percent).copied() else { return };
        let start = account.window.once_since(now);
        {
            let mut told = self.told.lock();
            let before =
                told.get(account).filter(|(window, _)| *window == start).map(|(_, percent)| *percent);
            if before >= Some(passed) {
                return;
            }
            if told.len() >= REMEMBERED {
                told.clear();
            }
            told.insert(account.clone(), (start, passed));
        }
        (self.tell)(Alert { account: account.clone(), start, percent: passed, at: now });
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts").field("at_percent", &self.at_percent).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use maof_core::{Measure, Name, Window};

    use super::*;

    #[test]
    fn each_part_is_told_once_in_its_window_and_the_highest_only() {
        let told: Arc<Mutex<Vec<(u8, Timestamp)>>> = Arc::default();
        let tell = {
            let told = Arc::clone(&told);
            move |alert: Alert| told.lock().push((alert.percent, alert.start))
        };
        let config = AlertConfig { at_percent: vec![50, 80, 100], webhook: None };
        let alerts = Alerts::new(&config, tell);
        let name = Name::new("a").unwrap();
        let account = Account { tenant: name.clone(), name, measure: Measure::Money, window: Window::Day };
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let tomorrow = now.plus(Duration::from_secs(86_400));
        for (percent, at) in
            [(49, now), (50, now), (79, now), (60, now), (255, now), (90, now), (81, tomorrow)]
        {
            alerts.look(&account, percent, at);
        }
        let (today, next) = (Window::Day.start(now), Window::Day.start(tomorrow));
        assert_eq!(*told.lock(), [(50, today), (100, today), (80, next)]);
    }

    #[test]
    fn wrong_settings_are_named() {
        let check = |text: &str, field: Option<&str>| {
            let config: AlertConfig = serde_json::from_str(text).unwrap();
            assert_eq!(
                config.validate().err().map(|e| e.field().unwrap().to_owned()).as_deref(),
                field,
                "{text}"
            );
        };
        check(r#"{}"#, None);
        check(r#"{"at_percent": []}"#, None);
        check(r#"{"at_percent": [0]}"#, Some("at_percent"));
        check(r#"{"at_percent": [101]}"#, Some("at_percent"));
        check(r#"{"at_percent": [80, 80]}"#, Some("at_percent"));
        check(r#"{"webhook": "ftp://x"}"#, Some("webhook"));
    }
}
