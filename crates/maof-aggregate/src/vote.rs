//! Votes: plurality, plain or weighted.

use std::collections::BTreeMap;

use async_trait::async_trait;
use maof_core::{Aggregate, Answered, Error, Name, Result, Verdict};
use serde_json::Value;

use crate::ballot::ballot;

/// The answer with the most weight behind it.
#[derive(Debug)]
pub(crate) struct Vote {
    key: String,
    weights: BTreeMap<Name, f64>,
    /// Where an answer says how sure it is, and how many classes there are, if that is what weighs.
    confidence: Option<(String, f64)>,
}

/// One answer that was given, and who gave it.
struct Class {
    ballot: String,
    weight: f64,
    /// The members that gave it, by place.
    members: Vec<usize>,
    /// The largest weight of one of them.
    heaviest: f64,
}

impl Vote {
    pub(crate) fn plain(key: String) -> Self {
        Vote { key, weights: BTreeMap::new(), confidence: None }
    }

    pub(crate) fn weighted(
        key: String,
        weights: &BTreeMap<Name, f64>,
        accuracies: &BTreeMap<Name, f64>,
        classes: u32,
    ) -> Self {
        let odds = |p: f64| (p * f64::from(classes - 1) / (1.0 - p)).ln();
        let from_accuracies = accuracies.iter().map(|(name, p)| (name.clone(), odds(*p)));
        let weights = weights.iter().map(|(n, w)| (n.clone(), *w)).chain(from_accuracies).collect();
        Vote { key, weights, confidence: None }
    }

    pub(crate) fn pooled(key: String, confidence: String, classes: u32) -> Self {
        Vote { key, weights: BTreeMap::new(), confidence: Some((confidence, f64::from(classes))) }
    }

    fn weight(&self, answer: &Answered) -> f64 {
        match &self.confidence {
            None => self.weights.get(&answer.agent).copied().unwrap_or(1.0),
            Some((pointer, classes)) => {
                // Who does not say how sure it is, is not counted; nobody is ever quite sure.
                let said = answer.value.pointer(pointer).and_then(Value::as_f64);
                let sure = said.map_or(0.0, |c| c.clamp(0.001, 0.999));
                if sure > 0.0 { (sure * (classes - 1.0) / (1.0 - sure)).ln() } else { 0.0 }
            }
        }
    }

    /// The classes in the order in which members first gave them. Who weighs nothing, or whose answer lacks
    /// the part that is voted on, is in none.
    fn classes(&self, answers: &[Answered]) -> Vec<Class> {
        let mut classes: Vec<Class> = Vec::new();
        for (place, answer) in answers.iter().enumerate() {
            let weight = self.weight(answer);
            let Some(said) = ballot(&answer.value, &self.key).filter(|_| weight > 0.0) else { continue };
            match classes.iter_mut().find(|c| c.ballot == said) {
                Some(class) => {
                    class.weight += weight;
                    class.heaviest = class.heaviest.max(weight);
                    class.members.push(place);
                }
                None => classes.push(Class { ballot: said, weight, members: vec![place], heaviest: weight }),
            }
        }
        classes
    }
}

/// Sums of weights that differ by less than this are equal: the order of adding must not decide a vote.
const EQUAL: f64 = 1e-9;

#[async_trait]
impl Aggregate for Vote {
    async fn aggregate(&self, answers: Vec<Answered>) -> Result<Verdict> {
        let classes = self.classes(&answers);
        let mut winner = classes.first().ok_or_else(|| {
            Error::invalid_request("no member gave an answer that can be counted").param("key")
        })?;
        for class in &classes[1..] {
            let ahead = class.weight - winner.weight;
            if ahead > EQUAL || (ahead.abs() <= EQUAL && class.heaviest > winner.heaviest + EQUAL) {
                winner = class;
            }
        }
        let tied = classes.iter().filter(|c| (c.weight - winner.weight).abs() <= EQUAL).count() > 1;
        let total: f64 = classes.iter().map(|c| c.weight).sum();
        // The whole answer of the winning class comes from its heaviest member, the earliest among equals.
        let mut speaker = winner.members[0];
        for &place in &winner.members[1..] {
            if self.weight(&answers[place]) > self.weight(&answers[speaker]) + EQUAL {
                speaker = place;
            }
        }
        let value = answers[speaker].value.clone();
        let costs = answers.iter().map(|a| (a.agent.clone(), a.cost)).collect();
        let agreement_ppm = (winner.weight / total * 1e6).round().clamp(0.0, 1e6) as u32;
        let agreed = winner.members.clone();
        let dissent = answers.into_iter().enumerate().filter(|(place, _)| !agreed.contains(place));
        Ok(Verdict { value, agreement_ppm, dissent: dissent.map(|(_, a)| a).collect(), costs, tied })
    }
}
