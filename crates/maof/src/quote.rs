//! What a call costs at worst at the cheapest endpoint that may answer it, or that may be asked first where it is cascaded.

use std::collections::HashMap;
use std::sync::Arc;

use maof_budget::tokens::Tiktoken;
use maof_budget::{Prices, Quote, Terms, Worst, counted_cost, worst_cost};
use maof_core::{Call, Candidate, Card, Chosen, Clock, DecisionId, Endpoint, Money, Name, Route, Target};
use maof_router::Cascade;

/// Knows the router, and every endpoint's card and prices.
#[derive(Debug)]
pub(crate) struct Cheapest {
    route: Arc<dyn Route>,
    clock: Arc<dyn Clock>,
    known: HashMap<Name, (Card, Arc<Prices>)>,
    cascades: Vec<Cascade>,
}

impl Cheapest {
    pub(crate) fn new(
        route: Arc<dyn Route>,
        clock: Arc<dyn Clock>,
        endpoints: &[Arc<dyn Endpoint>],
        prices: impl Fn(&Card) -> Arc<Prices>,
    ) -> Self {
        let cards = endpoints.iter().map(|e| e.card().clone());
        let known = cards.map(|card| (card.name.clone(), (card.clone(), prices(&card)))).collect();
        Cheapest { route, clock, known, cascades: Vec::new() }
    }

    /// Of calls that are cascaded so, those count as well who are asked first: whoever can afford them is not refused.
    pub(crate) fn cascaded(mut self, cascades: &[Cascade]) -> Self {
        self.cascades = cascades.to_vec();
        self
    }

    /// By each candidate's terms, the call as it would be asked.
    fn asked<T>(&self, call: &Call, of: impl Fn(&Call, Terms<'_>) -> Option<T>) -> Vec<T> {
        // Who cannot be routed is refused by the router, which says why.
        let Ok(mut candidates) = self.route.candidates(call) else { return Vec::new() };
        if let Some(first) = maof_router::cascade::first(&self.cascades, call) {
            let first = Call { target: Target::Name(first.clone()), ..call.clone() };
            candidates.extend(self.route.candidates(&first).unwrap_or_default());
        }
        let now = self.clock.now();
        let each = |candidate: &Candidate| {
            let (card, prices) = self.known.get(&candidate.endpoint)?;
            let terms = Terms { card, prices, now };
            if candidate.instructions.is_none() {
                return of(call, terms);
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
            of(&call, terms)
        };
        candidates.iter().filter_map(each).collect()
    }
}

impl Quote for Cheapest {
    fn cheapest(&self, call: &Call) -> Option<Money> {
        self.asked(call, |call, terms| worst_cost(call, terms).ok()).into_iter().min()
    }

    fn counted(&self, call: &Call) -> Option<Worst> {
        let worst = self.asked(call, |call, terms| counted_cost(call, terms, &Tiktoken));
        worst.into_iter().reduce(Worst::least)
    }
}
