//! What a call costs at worst at the cheapest endpoint that may answer it.

use std::collections::HashMap;
use std::sync::Arc;

use maof_budget::tokens::Tiktoken;
use maof_budget::{Quote, Worst, counted_cost, worst_cost};
use maof_core::{Call, Candidate, Card, Chosen, DecisionId, Endpoint, Money, Name, Route};

/// Knows the router and every endpoint's card.
#[derive(Debug)]
pub(crate) struct Cheapest {
    route: Arc<dyn Route>,
    cards: HashMap<Name, Card>,
}

impl Cheapest {
    pub(crate) fn new(route: Arc<dyn Route>, endpoints: &[Arc<dyn Endpoint>]) -> Self {
        let cards = endpoints.iter().map(|e| (e.card().name.clone(), e.card().clone()));
        Cheapest { route, cards: cards.collect() }
    }
}

impl Cheapest {
    /// Each candidate's card, and the call as it would be asked.
    fn asked<T>(&self, call: &Call, of: impl Fn(&Call, &Card) -> Option<T>) -> Vec<T> {
        // Who cannot be routed is refused by the router, which says why.
        let Ok(candidates) = self.route.candidates(call) else { return Vec::new() };
        let each = |candidate: &Candidate| {
            let card = self.cards.get(&candidate.endpoint)?;
            if candidate.instructions.is_none() {
                return of(call, card);
            }
            let mut call = call.clone();
            call.chosen = Some(Arc::new(Chosen {
                decision: DecisionId::from_uuid(Default::default()),
                agent: candidate.agent.clone(),
                endpoint: candidate.endpoint.clone(),
                instructions: candidate.instructions.clone(),
                fallbacks: 0,
                instead_of: None,
            }));
            of(&call, card)
        };
        candidates.iter().filter_map(each).collect()
    }
}

impl Quote for Cheapest {
    fn cheapest(&self, call: &Call) -> Option<Money> {
        self.asked(call, |call, card| worst_cost(call, card).ok()).into_iter().min()
    }

    fn counted(&self, call: &Call) -> Option<Worst> {
        let worst = self.asked(call, |call, card| counted_cost(call, card, &Tiktoken));
        worst.into_iter().reduce(Worst::least)
    }
}
