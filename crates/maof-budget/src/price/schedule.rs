//! What a model charges when, for how much and in which service: pure look-ups, in nano-dollars per million units.

use maof_core::{Money, Result, Tariff, Timestamp, Usage};

use super::rate::{Hours, RateConfig};

/// The rates of a model. A request is charged by the last of which every condition holds; the first one has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    rates: Vec<Rate>,
    /// The numbers of input tokens from which on another rate may hold, ascending, 0 first.
    steps: Vec<u64>,
    /// Whether some rate holds for one service alone.
    by_service: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rate {
    /// Seconds since 1970.
    from: Option<i64>,
    hours: Option<Hours>,
    over: u64,
    service: Option<Box<str>>,
    tariff: Tariff,
}

impl From<Tariff> for Prices {
    /// The same tariff always.
    fn from(tariff: Tariff) -> Self {
        Prices::new([(&RateConfig::default(), tariff)].into_iter())
    }
}

impl Prices {
    /// Of rates and their tariffs, which were checked.
    pub(crate) fn new<'a>(rates: impl Iterator<Item = (&'a RateConfig, Tariff)>) -> Prices {
        let rate = |(config, tariff): (&RateConfig, Tariff)| Rate {
            from: config.from.map(|day| day.0.saturating_mul(86_400)),
            hours: config.hours,
            over: config.over,
            service: config.service.as_deref().map(Box::from),
            tariff,
        };
        let rates: Vec<Rate> = rates.map(rate).collect();
        let mut steps: Vec<u64> = rates.iter().map(|rate| rate.over).collect();
        steps.push(0);
        steps.sort_unstable();
        steps.dedup();
        let by_service = rates.iter().any(|rate| rate.service.is_some());
        Prices { rates, steps, by_service }
    }

    /// The tariff of a request of `input` input tokens at a moment, in a service; none for the standard one.
    pub fn tariff(&self, at: Timestamp, service: Option<&str>, input: u64) -> &Tariff {
        let seconds = at.as_secs();
        let minute = (seconds.rem_euclid(86_400) / 60) as u32;
        let holds = |rate: &&Rate| {
            (rate.over == 0 || input > rate.over)
                && rate.from.is_none_or(|from| seconds >= from)
                && rate.hours.is_none_or(|hours| hours.has(minute))
                && rate.service.as_deref().is_none_or(|of| service == Some(of))
        };
        const FREE: &Tariff = &Tariff::FREE;
        // The first rate has no condition.
        self.rates.iter().rev().find(holds).or_else(|| self.rates.first()).map_or(FREE, |rate| &rate.tariff)
    }

    /// What `usage` costs that was asked for at a moment, in a service: each class at the rate that holds for as many
    /// input tokens as were used, rounded up once.
    ///
    /// # Errors
    /// `too_large` when the cost does not fit the range of money.
    pub fn cost(&self, usage: &Usage, at: Timestamp, service: Option<&str>) -> Result<Money> {
        self.tariff(at, service, usage.input_tokens()).cost(usage)
    }

    /// Every tariff that may hold for a request of at most `input` input tokens.
    pub(crate) fn up_to(
        &self,
        at: Timestamp,
        service: Option<&str>,
        input: u64,
    ) -> impl Iterator<Item = &Tariff> {
        let steps = self.steps.iter().filter(move |step| **step == 0 || **step < input);
        steps.map(move |step| self.tariff(at, service, step.saturating_add(1)))
    }

    /// Whether what is charged depends on the service that was asked for.
    pub fn by_service(&self) -> bool {
        self.by_service
    }

    /// Whether nothing is ever charged.
    pub fn is_free(&self) -> bool {
        self.rates.iter().all(|rate| rate.tariff.is_free())
    }
}
