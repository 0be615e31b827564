//! A trained model: what each arm's answer to a prompt is likely to be worth, and what it costs.

use maof_core::{Error, Name, Result, Tariff, Unit};

use super::blend::{Shares, blend};
use super::calibration::Calibration;
use super::cascade::Cascade;
use super::features::{Encoder, Features};
use super::forest::Forest;
use super::heads::{Heads, Pace};
use super::neighbours::{Neighbours, Room};
use super::verify::{self, Answer, verify};

/// The most arms a model may have.
pub const MAX_ARMS: usize = 32;

/// Characters in a token, about; prices are of tokens, and counting them would cost more than deciding.
const CHARS_PER_TOKEN: f64 = 4.0;
/// One step at each feedback; as long as those of training, since they follow on them.
const ONLINE: Pace = Pace { rate: 0.02, decay: 0.0 };

/// One of those who may answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its name.
    pub name: Name,
    /// What it charges for input and output tokens. Free where no price is known.
    pub tariff: Tariff,
    /// Tokens of its answers, in the mean.
    pub output_tokens: f32,
}

impl Arm {
    /// What an answer to a prompt of so many characters costs, estimated, in nano-dollars.
    pub fn cost(&self, prompt_chars: u32) -> f64 {
        let input = f64::from(prompt_chars) / CHARS_PER_TOKEN * self.tariff.price(Unit::Input) as f64;
        let output = f64::from(self.output_tokens) * self.tariff.price(Unit::Output) as f64;
        (input + output) / 1e6
    }
}

/// What is expected of one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prospect<'a> {
    /// The arm.
    pub arm: &'a Arm,
    /// The probability that its answer is good.
    pub quality: f32,
    /// What it costs, where a mean call of the strong arm costs 1. Zero without prices.
    pub cost: f32,
}

/// How quality is weighed against cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Policy {
    /// The arm with the highest quality less this much for each cost of a mean call of the strong arm.
    Weigh(f32),
    /// Always the arm that was best in training.
    #[default]
    Strong,
}

/// What is expected of the cheap arm's answer, now that it is there, and of asking the strong arm as well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checked {
    /// The probability that the cheap answer is right.
    pub cheap: f32,
    /// The probability that the strong arm's would be.
    pub strong: f32,
    /// What asking the strong arm costs, where a mean call of it costs 1.
    pub extra_cost: f32,
}

impl Checked {
    /// What the strong arm is expected to add. Higher is escalated first.
    pub fn gain(&self) -> f32 {
        self.strong - self.cheap
    }

    /// Whether asking the strong arm as well pays at this weight of cost.
    pub fn escalates(&self, cost_weight: f32) -> bool {
        self.gain() > cost_weight * self.extra_cost
    }
}

/// Room to work in. Kept and used again, deciding allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(super) features: Features,
    pub(super) quality: Vec<f32>,
    near: Vec<f32>,
    forest: Vec<f32>,
    room: Room,
}

/// What was seen of a prompt, to be learned from once feedback comes. Some kilobytes at most, whatever the prompt.
#[derive(Clone, Debug)]
pub struct Seen(Features);

impl Seen {
    /// Writes it down, for [`Seen::read`]: its hashes and numbers, little-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    /// Reads what was written down, and gives what follows it; none where it is damaged.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Seen, &[u8])> {
        Features::take(bytes).map(|(features, rest)| (Seen(features), rest))
    }
}

impl Scratch {
    /// What was seen of the last prompt.
    pub fn seen(&self) -> Seen {
        Seen(self.features.seen())
    }
}

/// A model. Deciding takes `&self`, so any number of threads may share one; feedback takes `&mut self`.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(super) arms: Vec<Arm>,
    /// The best single arm in training, and the one that is asked first in a cascade; indices into `arms`.
    pub(super) strong: usize,
    /// See `strong`.
    pub(super) cheap: usize,
    pub(super) encoder: Encoder,
    pub(super) heads: Heads,
    /// None where they tell nothing beside the heads.
    pub(super) neighbours: Option<Neighbours>,
    /// As well.
    pub(super) forest: Option<Forest>,
    pub(super) cascade: Cascade,
    pub(super) calibration: Calibration,
    /// What a mean call of the strong arm costs, in nano-dollars.
    pub(super) cost_unit: f64,
}

impl Model {
    /// A model that knows nothing yet and learns from feedback alone: every arm at one half.
    ///
    /// # Errors
    /// `invalid_request` naming `arms`, `strong` or `cheap`.
    pub fn blank(arms: Vec<Arm>, strong: &Name, cheap: &Name) -> Result<Model> {
        if !(2..=MAX_ARMS).contains(&arms.len()) {
            let why = format!("a model has 2 to {MAX_ARMS} arms, not {}", arms.len());
            return Err(Error::invalid_request(why).param("arms"));
        }
        let find = |name: &Name, field: &'static str| {
            let unknown = || Error::invalid_request(format!("there is no arm called `{name}`")).param(field);
            arms.iter().position(|arm| arm.name == *name).ok_or_else(unknown)
        };
        let (strong, cheap) = (find(strong, "strong")?, find(cheap, "cheap")?);
        let heads = Heads::blank(arms.len());
        let cost_unit = arms.get(strong).map_or(0.0, |arm| arm.cost(400));
        let (encoder, cascade, calibration) =
            (Encoder::blank(), Cascade::untrained(), Calibration::default());
        let (neighbours, forest) = (None, None);
        Ok(Model { arms, strong, cheap, encoder, heads, neighbours, forest, cascade, calibration, cost_unit })
    }

    /// The arms, in the order of the model.
    pub fn arms(&self) -> &[Arm] {
        &self.arms
    }

    /// The best single arm in training.
    pub fn strong(&self) -> Option<&Arm> {
        self.arms.get(self.strong)
    }

    /// The arm that is asked first in a cascade.
    pub fn cheap(&self) -> Option<&Arm> {
        self.arms.get(self.cheap)
    }

    /// What thresholds are worth.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Whether any arm has a price. Without, cost is left out of every choice.
    pub fn has_prices(&self) -> bool {
        self.arms.iter().any(|arm| !arm.tariff.is_free())
    }

    /// What the strong arm is expected to add over the cheap one, -1 to 1: higher is sent to the strong one.
    pub fn score(&self, prompt: &str, scratch: &mut Scratch) -> f32 {
        self.look(prompt, scratch);
        quality(scratch, self.strong) - quality(scratch, self.cheap)
    }

    /// What is expected of every arm, in the order of the model.
    pub fn prospects<'a>(
        &'a self,
        prompt: &str,
        scratch: &'a mut Scratch,
    ) -> impl Iterator<Item = Prospect<'a>> {
        self.look(prompt, scratch);
        let chars = scratch.features.chars;
        let qualities = scratch.quality.iter();
        self.arms.iter().zip(qualities).map(move |(arm, quality)| Prospect {
            arm,
            quality: *quality,
            cost: self.relative_cost(arm, chars),
        })
    }

    /// The arm to ask among those that `allowed` lets through; none when it lets none through.
    pub fn choose<'a>(
        &'a self,
        prompt: &str,
        policy: Policy,
        allowed: impl Fn(&Name) -> bool,
        scratch: &'a mut Scratch,
    ) -> Option<Prospect<'a>> {
        let strong = self.strong().map(|arm| &arm.name);
        // Where the strong arm may not be asked, `Policy::Strong` means the next best for this prompt.
        let value = |prospect: &Prospect<'_>| match policy {
            Policy::Weigh(weight) => prospect.quality - weight * prospect.cost,
            Policy::Strong if Some(&prospect.arm.name) == strong => f32::INFINITY,
            Policy::Strong => prospect.quality,
        };
        let allowed = self.prospects(prompt, scratch).filter(|prospect| allowed(&prospect.arm.name));
        allowed.max_by(|a, b| value(a).total_cmp(&value(b)).then(b.cost.total_cmp(&a.cost)))
    }

    /// The cheapest policy that keeps this part (0.95 is 95 %) of the best single arm's quality, as far as held-out
    /// outcomes tell; [`Policy::Strong`] where none does.
    pub fn at_quality(&self, floor: f32) -> Policy {
        self.calibration.tradeoff(floor).map_or(Policy::Strong, |at| Policy::Weigh(at.cost_weight))
    }

    /// Looks at the cheap arm's answer.
    pub fn check(&self, prompt: &str, answer: &Answer<'_>, scratch: &mut Scratch) -> Checked {
        self.look(prompt, scratch);
        let evidence = verify(prompt, answer);
        let strong = self.strong().map_or(0.0, |arm| self.relative_cost(arm, scratch.features.chars));
        Checked {
            cheap: self.cascade.right(&evidence, quality(scratch, self.cheap)),
            strong: quality(scratch, self.strong),
            extra_cost: strong,
        }
    }

    /// Looks at the cheap arm's answer with the weights that were set by hand, as a model without training would:
    /// the probability that it is right.
    pub fn check_untrained(prompt: &str, answer: &Answer<'_>) -> f32 {
        Cascade::untrained().right(&verify(prompt, answer), 0.5)
    }

    /// What each verifier counts for, in log odds, by name: the prompt's own prospect and the bias come last.
    pub fn verifier_weights(&self) -> impl Iterator<Item = (&'static str, f32)> {
        let names = verify::NAMES.into_iter().chain(["prospect", "bias"]);
        names.zip(self.cascade.0)
    }

    /// Learns that an answer of `arm` to `prompt` was this good, 0 to 1.
    ///
    /// # Errors
    /// `not_found` naming `arm`, `invalid_request` naming `quality`; nothing is learned then.
    pub fn observe(&mut self, prompt: &str, arm: &Name, quality: f32, scratch: &mut Scratch) -> Result<()> {
        scratch.features.read(prompt);
        self.encoder.encode(&mut scratch.features);
        let features = std::mem::take(&mut scratch.features);
        let learned = self.step(&features, arm, quality, scratch);
        scratch.features = features;
        learned
    }

    /// As [`Model::observe`], of a prompt that was seen before.
    ///
    /// # Errors
    /// As [`Model::observe`].
    pub fn observe_seen(
        &mut self,
        seen: &Seen,
        arm: &Name,
        quality: f32,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.step(&seen.0, arm, quality, scratch)
    }

    fn step(&mut self, features: &Features, arm: &Name, quality: f32, scratch: &mut Scratch) -> Result<()> {
        let Some(at) = self.arms.iter().position(|known| known.name == *arm) else {
            return Err(Error::not_found(format!("the model has no arm called `{arm}`")).param("arm"));
        };
        if !(0.0..=1.0).contains(&quality) {
            return Err(Error::invalid_request("`quality` must be 0 to 1").param("quality"));
        }
        self.appraise(features, scratch);
        for (arm, expected) in scratch.quality.iter_mut().enumerate() {
            *expected = if arm == at { *expected - quality } else { f32::NAN };
        }
        // As long as it takes to move all together as one step moves a head alone.
        let pace = Pace { rate: ONLINE.rate / self.shares().heads(), ..ONLINE };
        self.heads.step(features, &scratch.quality, pace);
        Ok(())
    }

    fn look(&self, prompt: &str, scratch: &mut Scratch) {
        scratch.features.read(prompt);
        self.encoder.encode(&mut scratch.features);
        let features = std::mem::take(&mut scratch.features);
        self.appraise(&features, scratch);
        scratch.features = features;
    }

    /// What each arm's answer is worth by its head, by the prompt's neighbours and by the forest.
    fn appraise(&self, features: &Features, scratch: &mut Scratch) {
        let Scratch { quality, near, forest, room, .. } = scratch;
        self.heads.appraise(features, quality);
        let arms = self.arms.len();
        for unknown in [&mut *near, &mut *forest] {
            unknown.clear();
            unknown.resize(arms, f32::NAN);
        }
        if let Some(neighbours) = &self.neighbours {
            neighbours.appraise(&self.encoder, features, room, near);
        }
        if let Some(trees) = &self.forest {
            trees.appraise(features, arms, forest);
        }
        let shares = self.shares();
        for (head, (near, forest)) in quality.iter_mut().zip(near.iter().zip(forest.iter())) {
            *head = blend(*head, *near, *forest, shares);
        }
    }

    fn shares(&self) -> Shares {
        Shares {
            near: self.neighbours.as_ref().map_or(0.0, |neighbours| neighbours.share),
            forest: self.forest.as_ref().map_or(0.0, |forest| forest.share),
        }
    }

    pub(super) fn relative_cost(&self, arm: &Arm, chars: u32) -> f32 {
        if self.cost_unit > 0.0 { (arm.cost(chars) / self.cost_unit) as f32 } else { 0.0 }
    }
}

fn quality(scratch: &Scratch, arm: usize) -> f32 {
    scratch.quality.get(arm).copied().unwrap_or(0.5)
}
