//! The ledger, and what is asked of it: spending, its comparison with a bill, suggestions.

use std::sync::Arc;
use std::time::Duration;

use maof_budget::report::{self, Billed, Compared, Offer, Quality, Suggestion};
use maof_budget::{Limits, Prices};
use maof_core::{
    Clock, Dimension, Endpoint, Ledger, Principal, Purpose, Result, Role, Snapshots, Spending, SpendingQuery,
    Tariff, Timestamp,
};
use maof_store::SqliteStore;

use crate::beside::Counted;
use crate::config::Config;
use crate::priced::Pricing;
use crate::system::SystemClock;

/// Under what changed limits are kept.
pub(super) const CHANGED: &str = "budgets";
/// How long answers are kept where no cache says so.
const KEPT: Duration = Duration::from_secs(3_600);

/// The reports on what was spent, each for one principal: administrators and those who may see everything are told of
/// their whole tenant, others of their own calls.
#[derive(Debug)]
pub struct Costs {
    pub(super) ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    pub(super) limits: Arc<Limits>,
    offers: Vec<Offer>,
    kept: Duration,
    /// Where changed limits are kept; none where nothing is.
    pub(super) keep: Option<Arc<dyn Snapshots>>,
    /// One change at a time, so that what is kept last is what holds.
    pub(super) changing: Arc<tokio::sync::Mutex<()>>,
    /// Who knows what answers were worth; none where only a database is looked at.
    router: Option<Arc<maof_router::Router>>,
}

impl Costs {
    /// Opens the configured database without taking it, beside whoever works with it: what is held now is not seen then.
    ///
    /// # Errors
    /// `not_found` when there is none; `unavailable` when it cannot be opened; `invalid_request` naming the budget or price
    /// that is wrong.
    pub async fn open(config: &Config) -> Result<Costs> {
        config.check()?;
        let config = config.clone().complete();
        let Counted { ledger, limits: keep } = match Counted::shared(&config).await? {
            Some(shared) => shared,
            None => Counted::of(&Arc::new(SqliteStore::open_shared(&config.store).await?)),
        };
        let limits = Limits::new(&config.budgets)?.with_tiers(&config.tiers)?;
        let clock = Arc::new(SystemClock);
        let costs = Costs::new(&config, &[], ledger, clock, Arc::new(limits), None, Some(keep))?;
        costs.resume().await?;
        Ok(costs)
    }

    pub(crate) fn new(
        config: &Config,
        added: &[Arc<dyn Endpoint>],
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
        router: Option<Arc<maof_router::Router>>,
        keep: Option<Arc<dyn Snapshots>>,
    ) -> Result<Costs> {
        let kept = config.cache.as_ref().map_or(KEPT, |cache| Duration::from_secs(cache.ttl_seconds));
        let router = router.filter(|_| config.routing.thompson.learn_from == maof_router::Teacher::Feedback);
        Ok(Costs {
            ledger,
            clock,
            limits,
            offers: offers(config, added)?,
            kept,
            keep,
            changing: Default::default(),
            router,
        })
    }

    /// Takes over the limits that were changed before.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be reached; `internal` when they are damaged.
    pub(crate) async fn resume(&self) -> Result<()> {
        if let Some(store) = &self.keep
            && let Some(kept) = store.kept(CHANGED).await?
            && self.limits.changed()? != *kept
        {
            self.limits.resume(&kept)?;
        }
        Ok(())
    }

    /// Takes over what other processes changed, from time to time.
    pub(crate) async fn follow(&self) {
        let _one = self.changing.lock().await;
        if let Err(error) = self.resume().await {
            tracing::warn!(%error, "changed limits of budgets could not be read; those that are known hold");
        }
    }

    /// Changes limits after one another with whoever has the same lock.
    pub(crate) fn changing(self, changing: Arc<tokio::sync::Mutex<()>>) -> Costs {
        Costs { changing, ..self }
    }

    /// The time that reports are of.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What a principal is to be told of, over a time: everything in its tenant, or its own calls.
    pub fn query(&self, principal: &Principal, since: Timestamp, until: Timestamp) -> SpendingQuery {
        let mut query = SpendingQuery::new(principal.tenant.clone(), since, until);
        if !sees_all(principal) {
            query.only.push((Dimension::User, principal.user.as_str().into()));
        }
        query
    }

    /// What was spent, as the query asks; ask by [`Costs::query`].
    ///
    /// # Errors
    /// `invalid_request` naming the field that is wrong; `unavailable` when the ledger cannot be reached.
    pub async fn spending(&self, query: &SpendingQuery) -> Result<Spending> {
        self.ledger.spending(query).await
    }

    /// Compares what was spent on each model in a time with what a provider says; only attempts of these values.
    ///
    /// # Errors
    /// As [`Costs::spending`].
    pub async fn reconcile(&self, mut query: SpendingQuery, billed: &[Billed]) -> Result<Vec<Compared>> {
        query.by = vec![Dimension::Model];
        query.limit = SpendingQuery::MOST_GROUPS;
        Ok(report::reconcile(&self.spending(&query).await?, billed))
    }

    /// What would have cost less in a time, what saves most first.
    ///
    /// # Errors
    /// As [`Costs::spending`].
    pub async fn suggestions(
        &self,
        principal: &Principal,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Suggestion>> {
        let now = self.now();
        let by = |dimensions: &[Dimension], at_least: u32| SpendingQuery {
            by: dimensions.to_vec(),
            at_least,
            limit: SpendingQuery::MOST_GROUPS,
            ..self.query(principal, since, until)
        };
        let mut answers = by(&[Dimension::Agent, Dimension::Day, Dimension::Question], 2);
        answers.only.push((Dimension::Purpose, Purpose::Answer.as_str().into()));
        let tariff = |endpoint: &str| self.tariff(endpoint, now);
        let asked = self.spending(&by(&[Dimension::Agent, Dimension::Endpoint], 1)).await?;
        let mut found = report::cheaper(&asked, &self.offers, self.quality(), now);
        found.extend(report::unused_room(&asked, tariff));
        let openings = by(&[Dimension::Endpoint, Dimension::Day, Dimension::Opening], 2);
        found.extend(report::repeated_openings(&self.spending(&openings).await?, tariff));
        found.extend(report::repeated_questions(&self.spending(&answers).await?, self.kept));
        let sizes = by(&[Dimension::Agent, Dimension::InputSize], 1);
        found.extend(report::oversized(&self.spending(&sizes).await?));
        Ok(report::dearest_first(found))
    }

    fn tariff(&self, endpoint: &str, now: Timestamp) -> Option<Tariff> {
        let offer = self.offers.iter().find(|offer| offer.endpoint == *endpoint)?;
        offer.prices.as_ref().map(|prices| *prices.tariff(now, None, 0))
    }

    /// What callers' feedback says of an agent at an endpoint.
    fn quality(&self) -> impl Fn(&Offer) -> Option<Quality> {
        let worth = self.router.as_ref().and_then(|router| router.worth());
        move |offer| {
            let (sum, scores) = worth.as_ref()?(&offer.agent, &offer.endpoint)?;
            (scores > 0.0).then(|| Quality { mean: sum / scores, scores })
        }
    }
}

/// Who is told of its whole tenant.
pub(super) fn sees_all(principal: &Principal) -> bool {
    principal.is(Role::Readonly)
}

/// The first moment that is not over.
pub(super) fn later(now: Timestamp) -> Timestamp {
    now.plus(Duration::from_micros(1))
}

/// Every endpoint that an agent may ask, with what it charges; of those whose prices nobody knows none are said.
fn offers(config: &Config, added: &[Arc<dyn Endpoint>]) -> Result<Vec<Offer>> {
    let pricing = Pricing::new(config);
    let mut offers = Vec::new();
    for agent in &config.agents {
        for endpoint in config.endpoints.iter().filter(|endpoint| agent.endpoints.contains(&endpoint.name)) {
            let priced = pricing.of(endpoint)?;
            offers.push(Offer {
                endpoint: endpoint.name.clone(),
                agent: agent.name.clone(),
                capabilities: agent.capabilities.clone(),
                prices: (!priced.unknown).then_some(priced.prices),
                context: priced.context,
            });
        }
    }
    offers.extend(added.iter().map(|endpoint| {
        let card = endpoint.card();
        Offer {
            endpoint: card.name.clone(),
            agent: card.name.clone(),
            capabilities: Vec::new(),
            prices: Some(Arc::new(Prices::from(card.tariff))),
            context: card.context,
        }
    }));
    Ok(offers)
}
