//! What a router learns while it serves: from how answers end, from feedback, and from other nodes.

use std::collections::BTreeSet;

use maof_core::{Candidate, DecisionId, Error, Name, Result};

use super::Router;
use crate::config::Teacher;
use crate::learned::bandit::{Feedback, linear, thompson};
use crate::learned::{Model, Outcome};
use crate::learner::{Ended, Lesson};
use crate::pool::drawn_as;

impl Router {
    /// What Thompson sampling learned here and elsewhere, to be stored or sent; none under another spread.
    pub fn learned_state(&self) -> Option<thompson::State> {
        self.bandit.as_ref().map(|bandit| bandit.state())
    }

    /// What an agent's answers at an endpoint were worth, as far as Thompson sampling learned it here and elsewhere: the sum
    /// of scores, and how many they are, older ones counting for less. None under another spread.
    pub fn worth(&self) -> Option<impl Fn(&Name, &Name) -> Option<(f64, f64)> + use<>> {
        let worth = self.learned_state()?.worth();
        Some(move |agent: &Name, endpoint: &Name| worth.get(&drawn_as(agent, endpoint)).copied())
    }

    /// Takes over what another node learned, or this one before it was started again. The order of merging, and how
    /// often, changes nothing.
    ///
    /// # Errors
    /// `invalid_request` naming `state`, of another version or damaged, or `strategy` where it learns nothing of the kind;
    /// then everything stays as it is.
    pub fn merge_state(&self, state: &thompson::State) -> Result<()> {
        match &self.bandit {
            Some(bandit) => bandit.merge(state),
            None => Err(learns_nothing(self.config.strategy.as_str())),
        }
    }

    /// What linear Thompson sampling learned here and elsewhere, to be stored or sent; none under another spread. About 60 kB
    /// for each agent's endpoint and node as JSON.
    pub fn linear_state(&self) -> Option<linear::State> {
        self.linear.as_ref().map(|linear| linear.state())
    }

    /// As [`Router::merge_state`], of what [`Router::linear_state`] gave.
    ///
    /// # Errors
    /// As [`Router::merge_state`].
    pub fn merge_linear_state(&self, state: &linear::State) -> Result<()> {
        match &self.linear {
            Some(linear) => linear.merge(state),
            None => Err(learns_nothing(self.config.strategy.as_str())),
        }
    }

    /// The model as it is now, with what feedback taught it; none without the rank `learned`.
    pub fn learned_model(&self) -> Option<Model> {
        self.heads.as_ref().map(|heads| heads.model())
    }

    /// Lets linear Thompson sampling begin with what is recorded: as if each outcome of an endpoint, of its alias or of its agent
    /// had been told as feedback; before the first call. The same outcomes again, or on another node, change nothing. About
    /// ten microseconds for each outcome and endpoint.
    ///
    /// # Errors
    /// `invalid_request` naming `strategy` where nothing of the kind is learned, or `linear_thompson.outcomes` where they are of
    /// nobody who is known, or of more than it can tell apart.
    pub fn warm(&self, outcomes: &[Outcome]) -> Result<()> {
        let Some(linear) = &self.linear else { return Err(learns_nothing(self.config.strategy.as_str())) };
        let named = |e: Error| e.param("linear_thompson.outcomes");
        let known: BTreeSet<&Name> = outcomes.iter().flat_map(|outcome| outcome.quality.keys()).collect();
        let arms = self.snapshot.arms(|name| known.contains(name));
        if arms.is_empty() {
            let recorded: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
            let why = format!(
                "none of those with outcomes ({}) is an agent, an endpoint or an alias",
                recorded.join(", ")
            );
            return Err(named(Error::invalid_request(why)));
        }
        linear.warm(outcomes, &arms).map_err(named)
    }

    /// Somebody who was asked has ended: well, badly, or so that nothing is told of it.
    pub(super) fn hear_of_end(&self, decision: DecisionId, who: &Candidate, good: Option<bool>) {
        let Some(memory) = &self.memory else { return };
        let ended = memory.ended(decision, who, good == Some(true));
        let (Some(ended), Some(good)) = (ended, good) else { return };
        self.teach(&ended, f64::from(u8::from(good))).unwrap_or_else(|error| {
            tracing::warn!(error.message = error.message(), "what an end taught was lost");
        });
    }

    fn teach(&self, ended: &Ended, quality: f64) -> Result<()> {
        let Ended { pool, place, context } = ended;
        let Some(seat) = pool.seat(*place) else { return Ok(()) };
        if let (Some(bandit), Teacher::Ends) = (&self.bandit, self.config.thompson.learn_from) {
            bandit.learn(&pool.class, &seat.drawn_as, quality)?;
        }
        if let (Some(linear), Teacher::Ends) = (&self.linear, self.config.linear_thompson.learn_from)
            && let Some(context) = context
        {
            linear.learn(context, &seat.drawn_as, quality)?;
        }
        Ok(())
    }

    /// Whoever got an answer says what it was worth.
    pub(super) fn take_feedback(&self, tenant: &Name, decision: DecisionId, score: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&score) {
            return Err(Error::invalid_request("`score` must be 0 to 1").param("score"));
        }
        let Some(memory) = &self.memory else { return Err(learns_nothing(self.config.strategy.as_str())) };
        let Lesson { who, seen, context } = match memory.settle(tenant, decision, self.ports.clock.now()) {
            Feedback::First(lesson) => lesson,
            Feedback::Again => return Ok(()),
            Feedback::Unknown => {
                let why = format!("no decision {decision} is known; the last ones are remembered, for a day");
                return Err(Error::not_found(why).param("decision"));
            }
        };
        if let Some((class, arm)) = who.arm() {
            if let Some(bandit) = &self.bandit {
                bandit.learn(&class, &arm, score)?;
            }
            if let (Some(linear), Some(context)) = (&self.linear, &context) {
                linear.learn(context, &arm, score)?;
            }
        }
        if let (Some(heads), Some(seen)) = (&self.heads, &seen)
            && let Some(arm) = who.model_arm(|one| self.seated(one)).and_then(|arm| heads.arm(arm))
        {
            heads.learn(seen, &arm, score as f32)?;
        }
        Ok(())
    }
}

fn learns_nothing(strategy: &str) -> Error {
    let why = format!(
        "the strategy `{strategy}` learns nothing from this; set `routing.strategy` to `thompson`, `linear_thompson` or \
         `learned`"
    );
    Error::invalid_request(why).param("strategy")
}
