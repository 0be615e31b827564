//! Questions that were answered, and which of them one in other words may be taken for.

use std::collections::{HashMap, VecDeque};

use maof_core::CacheKey;

use super::config::Semantic;
use super::features::Features;

/// Questions with the keys of their answers, apart by scope: whose they are, and all that may change the answer but the
/// question's own words. Pure, and bounded.
#[derive(Debug)]
pub struct Questions {
    config: Semantic,
    scopes: HashMap<CacheKey, Scope>,
    /// The oldest first.
    order: VecDeque<(CacheKey, CacheKey)>,
}

#[derive(Debug, Default)]
struct Scope {
    known: Vec<Known>,
    /// The places of terms, dense, so that comparing hashes nothing.
    places: HashMap<u64, u32>,
    /// In how many questions the term at each place stands.
    spread: Vec<u32>,
    /// Places of terms that stand in none.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Known {
    key: CacheKey,
    features: Features,
    /// The features' terms by their places here.
    terms: Vec<(u32, f32)>,
}

impl Scope {
    fn add(&mut self, key: CacheKey, mut features: Features) {
        let terms = std::mem::take(&mut features.terms).into_iter().map(|(term, weight)| {
            let place = *self.places.entry(term).or_insert_with(|| {
                self.free.pop().unwrap_or_else(|| {
                    self.spread.push(0);
                    self.spread.len() as u32 - 1
                })
            });
            self.spread[place as usize] += 1;
            (place, weight)
        });
        let terms = terms.collect();
        self.known.push(Known { key, features, terms });
    }

    /// Whether there was such a question.
    fn remove(&mut self, key: &CacheKey) -> bool {
        let Some(at) = self.known.iter().position(|known| known.key == *key) else { return false };
        for (place, _) in self.known.swap_remove(at).terms {
            let count = &mut self.spread[place as usize];
            *count -= 1;
            if *count == 0 {
                self.free.push(place);
            }
        }
        let spread = &self.spread;
        self.places.retain(|_, place| spread[*place as usize] > 0);
        true
    }

    /// How similar each question is to this one; the best with its place, and the second best.
    fn compare(&self, asked: &Features) -> (Option<(f32, usize)>, f32) {
        // Rare terms count most (K. Spärck Jones, 1972), smoothed.
        let all = self.known.len() as f32 + 1.0;
        let rare: Vec<f32> =
            self.spread.iter().map(|spread| (all / (*spread as f32 + 1.0) + 1.0).ln()).collect();
        let unknown = (all + 1.0).ln();
        let (mut weighed, mut square) = (vec![0.0; rare.len()], 0.0_f32);
        for (term, weight) in &asked.terms {
            let place = self.places.get(term).map(|place| *place as usize);
            let weight = weight * place.map_or(unknown, |place| rare[place]);
            square += weight * weight;
            if let Some(place) = place {
                weighed[place] = weight;
            }
        }
        let length = square.sqrt();
        let (mut best, mut second): (Option<(f32, usize)>, f32) = (None, 0.0);
        for (at, known) in self.known.iter().enumerate() {
            let (mut dot, mut square) = (0.0, 0.0_f32);
            for (place, weight) in &known.terms {
                let weight = weight * rare[*place as usize];
                square += weight * weight;
                dot += weight * weighed[*place as usize];
            }
            let similar = dot / (length * square.sqrt()).max(f32::MIN_POSITIVE);
            match best {
                Some((so_far, _)) if similar <= so_far => second = second.max(similar),
                _ => {
                    second = best.map_or(0.0, |(so_far, _)| so_far);
                    best = Some((similar, at));
                }
            }
        }
        (best, second)
    }
}

/// A question that may be taken for another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The key of its answer.
    pub key: CacheKey,
    /// How similar they are, in percent.
    pub percent: u8,
}

impl Questions {
    /// None yet.
    pub fn new(config: &Semantic) -> Self {
        Questions { config: config.clone(), scopes: HashMap::new(), order: VecDeque::new() }
    }

    /// Remembers a question whose answer is kept under `key`. One that is too long or too short is not remembered.
    pub fn add(&mut self, scope: CacheKey, text: &str, key: CacheKey) {
        let Some(features) = Features::of(text) else { return };
        self.remove(&scope, &key);
        while self.order.len() >= self.config.max_questions as usize
            && let Some((scope, key)) = self.order.front().copied()
        {
            self.remove(&scope, &key);
        }
        self.scopes.entry(scope).or_default().add(key, features);
        self.order.push_back((scope, key));
    }

    /// Forgets a question, whose answer is not kept any more.
    pub fn remove(&mut self, scope: &CacheKey, key: &CacheKey) {
        let Some(known) = self.scopes.get_mut(scope) else { return };
        if !known.remove(key) {
            return;
        }
        if known.known.is_empty() {
            self.scopes.remove(scope);
        }
        self.order.retain(|(of, one)| (of, one) != (scope, key));
    }

    /// The question that `text` may be taken for; none where none is similar enough, two nearly are, or something tells them
    /// apart that decides.
    pub fn find(&self, scope: &CacheKey, text: &str) -> Option<Found> {
        let scope = self.scopes.get(scope)?;
        let asked = Features::of(text)?;
        let (best, second) = scope.compare(&asked);
        let (similar, at) = best?;
        let Known { key, features, .. } = scope.known.get(at)?;
        let percent = |share: f32| share * 100.0;
        let enough = percent(similar) >= f32::from(self.config.similarity_percent)
            && percent(similar - second) >= f32::from(self.config.margin_percent);
        (enough && !asked.differ(features))
            .then(|| Found { key: *key, percent: percent(similar).min(100.0) as u8 })
    }
}
