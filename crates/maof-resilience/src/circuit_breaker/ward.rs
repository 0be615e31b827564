//! Watches breakers together: whether somebody is left without anyone to ask.

use std::collections::HashMap;

use maof_core::{CircuitState, Name};

use crate::sync::Mutex;

/// Agents with the endpoints that may answer for each. Pure but for its lock.
#[derive(Debug)]
pub struct Ward {
    agents: Vec<(Name, Vec<Name>)>,
    states: Mutex<HashMap<Name, CircuitState>>,
}

/// An agent whose last endpoint was rested, or which has one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rested {
    /// The agent.
    pub agent: Name,
    /// Whether all of its endpoints rest now.
    pub rested: bool,
}

impl Ward {
    /// Watches these agents; every breaker is closed at first.
    pub fn new(agents: impl IntoIterator<Item = (Name, Vec<Name>)>) -> Self {
        Ward { agents: agents.into_iter().collect(), states: Mutex::new(HashMap::new()) }
    }

    /// An endpoint's breaker changed its state. Tells `tell` of every agent to which that makes the difference,
    /// inside the lock so that what is told last is true; `tell` must neither block nor call the ward.
    pub fn change(&self, endpoint: &Name, state: CircuitState, mut tell: impl FnMut(Rested)) {
        let mut states = self.states.lock();
        let before = states.insert(endpoint.clone(), state).unwrap_or(CircuitState::Closed);
        let (was_open, is_open) = (before == CircuitState::Open, state == CircuitState::Open);
        if was_open == is_open {
            return;
        }
        let open = |name: &Name| states.get(name) == Some(&CircuitState::Open);
        for (agent, endpoints) in &self.agents {
            // With this endpoint aside, the others decide whether it makes the difference.
            let others = endpoints.iter().filter(|name| *name != endpoint);
            if endpoints.contains(endpoint) && others.into_iter().all(open) {
                tell(Rested { agent: agent.clone(), rested: is_open });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words such as `a-` (a's breaker opens), `a+` (closes), `a?` (probes); what is told, in the same words.
    fn check(script: &str, expect: &str) {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let ward = Ward::new([
            (name("pair"), vec![name("a"), name("b")]),
            (name("alone"), vec![name("b")]),
            (name("other"), vec![name("c")]),
        ]);
        let mut told = Vec::new();
        for word in script.split_whitespace() {
            let state = match &word[1..] {
                "-" => CircuitState::Open,
                "?" => CircuitState::HalfOpen,
                _ => CircuitState::Closed,
            };
            ward.change(&name(&word[..1]), state, |r| {
                told.push(format!("{}{}", r.agent, if r.rested { "-" } else { "+" }));
            });
        }
        assert_eq!(told.join(" "), expect, "{script}");
    }

    #[test]
    fn resting_the_last_endpoint_of_an_agent_is_told_and_so_is_its_end() {
        check("", "");
        check("a- a? a+", "");
        check("b- b+", "alone- alone+");
        check("a- b-", "pair- alone-");
        check("a- b- a? a- a? a+ b+", "pair- alone- pair+ pair- pair+ alone+");
        check("c-", "other-");
        check("x-", "");
    }
}
