//! Whether a first answer stands.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use maof_core::{Error, Name, Result};

use crate::config::Cascade as Config;
use crate::learned::verify::{Evidence, NAMES, verify};
use crate::learned::{Answer, Calibration, Model, Scratch};
use crate::registry::Registry;

/// Whoever speaks against an answer here outweighs every sign of being right, as long as nothing was learned.
const OUTWEIGH: [&str; 5] = ["refusal", "truncated", "wrong_arithmetic", "schema", "agreement"];
/// Likewise, where it was: no recorded outcome says anything of these.
const NEVER_RECORDED: [&str; 2] = ["schema", "agreement"];

thread_local! {
    /// Room to work in.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Decides whether a first answer stands.
#[derive(Clone)]
pub struct Judge(Rule);

#[derive(Clone)]
enum Rule {
    /// By weights set by hand: it must be this probably right.
    ByHand(f32),
    /// By a model: it goes on where the strong arm would add that much.
    Trained(Arc<Model>, Worth),
}

/// What it must add to be asked as well.
#[derive(Clone, Copy, Debug)]
enum Worth {
    /// So much quality.
    Gain(f32),
    /// So much for its cost.
    Cost(f32),
}

/// Why an answer stands or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) stands: bool,
    /// The probability that it is right.
    pub(super) right: f32,
    /// The verifier that outweighed all others, if one did.
    pub(super) fails: Option<&'static str>,
}

impl Judge {
    /// By weights set by hand, as `config.confidence` says.
    pub fn by_hand(config: &Config) -> Judge {
        Judge(Rule::ByHand(config.confidence.unwrap_or(Config::CONFIDENCE)))
    }

    /// By the model that `config.model` names, read by whoever reads files. Its cheap arm is whom `config.first` names, as an agent or
    /// by one of its endpoints.
    ///
    /// # Errors
    /// `invalid_request` naming `model`, trained without answers or of another cheap arm.
    pub fn trained(config: &Config, model: Model, registry: &Registry) -> Result<Judge> {
        let wrong = |why: String| Err(Error::invalid_request(why).param("model"));
        let steps = &model.calibration().by_answer;
        if steps.is_empty() {
            return wrong(
                "was trained without answers; give `maof route train` outcomes with `out`".to_owned(),
            );
        }
        let worth = match (config.quality, config.cost_weight) {
            (None, weight) => Worth::Cost(weight.unwrap_or_default()),
            (Some(floor), _) => {
                let step = Calibration::at_quality(steps, floor);
                Worth::Gain(step.map_or(f32::NEG_INFINITY, |step| step.threshold))
            }
        };
        let first = registry.agent(&config.first);
        let is_first = |arm: &Name| {
            let endpoint = registry.endpoint(arm);
            *arm == config.first
                || endpoint.is_some_and(|endpoint| {
                    *endpoint == config.first || first.is_some_and(|first| first.endpoints.contains(endpoint))
                })
        };
        match model.cheap() {
            Some(cheap) if !is_first(&cheap.name) => wrong(format!(
                "its cheap arm is `{}`, not `{}` or an endpoint of it; train it with `--cheap`",
                cheap.name, config.first
            )),
            _ => Ok(Judge(Rule::Trained(Arc::new(model), worth))),
        }
    }

    /// Looks at an answer.
    pub(super) fn judge(&self, question: &str, answer: &Answer<'_>) -> Verdict {
        let fails = |names: &[&str]| fails(&verify(question, answer), names);
        match &self.0 {
            Rule::ByHand(least) => {
                let (fails, right) = (fails(&OUTWEIGH), Model::check_untrained(question, answer));
                Verdict { stands: fails.is_none() && right >= *least, right, fails }
            }
            Rule::Trained(model, worth) => {
                let checked = SCRATCH.with_borrow_mut(|scratch| model.check(question, answer, scratch));
                // That the provider cut it off is no guess.
                let cut = (answer.truncated == Some(true)).then_some("truncated");
                let fails = cut.or_else(|| fails(&NEVER_RECORDED));
                let goes_on = match *worth {
                    Worth::Gain(least) => checked.gain() >= least,
                    Worth::Cost(weight) => checked.escalates(weight),
                };
                Verdict { stands: fails.is_none() && !goes_on, right: checked.cheap, fails }
            }
        }
    }
}

/// The first of these verifiers that speaks against the answer.
fn fails(evidence: &Evidence, of: &[&str]) -> Option<&'static str> {
    let said = NAMES.into_iter().zip(evidence).filter(|(name, _)| of.contains(name));
    said.filter(|(_, says)| **says < 0.0).map(|(name, _)| name).next()
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::ByHand(least) => f.debug_tuple("ByHand").field(least).finish(),
            Rule::Trained(_, worth) => f.debug_tuple("Trained").field(worth).finish(),
        }
    }
}
