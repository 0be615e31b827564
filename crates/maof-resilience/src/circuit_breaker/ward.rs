//! Watches breakers together: whether somebody is left without anyone to ask.

use std::collections::{HashMap, HashSet};

use maof_core::{CircuitState, Name};

use crate::sync::Mutex;

/// Agents with the endpoints that may answer for each. Pure but for its lock.
#[derive(Debug)]
pub struct Ward {
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    agents: Vec<(Name, Vec<Name>)>,
    states: HashMap<Name, CircuitState>,
}

impl Watched {
    /// The agents all of whose endpoints rest.
    fn rested(&self) -> HashSet<Name> {
        let open = |name: &Name| self.states.get(name) == Some(&CircuitState::Open);
        let rested = self.agents.iter().filter(|(_, endpoints)| endpoints.iter().all(open));
        rested.map(|(agent, _)| agent.clone()).collect()
    }
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
        let watched = Watched { agents: agents.into_iter().collect(), states: HashMap::new() };
        Ward { watched: Mutex::new(watched) }
    }

    /// Watches these agents instead, whose endpoints have the breakers that they had if they `stay`, and closed ones otherwise.
    /// Tells `tell`, as [`Ward::change`] does, of every agent to which that makes a difference; one that comes was not
    /// rested before.
    pub fn watch(
        &self,
        agents: impl IntoIterator<Item = (Name, Vec<Name>)>,
        stay: impl Fn(&Name) -> bool,
        mut tell: impl FnMut(Rested),
    ) {
        let mut watched = self.watched.lock();
        let before = watched.rested();
        watched.agents = agents.into_iter().collect();
        watched.states.retain(|endpoint, _| stay(endpoint));
        let now = watched.rested();
        for (agent, _) in &watched.agents {
            let rested = now.contains(agent);
            if rested != before.contains(agent) {
                tell(Rested { agent: agent.clone(), rested });
            }
        }
    }

    /// An endpoint's breaker changed its state. Tells `tell` of every agent to which that makes the difference,
    /// inside the lock so that what is told last is true; `tell` must neither block nor call the ward.
    pub fn change(&self, endpoint: &Name, state: CircuitState, mut tell: impl FnMut(Rested)) {
        let mut watched = self.watched.lock();
        let Watched { agents, states } = &mut *watched;
        let before = states.insert(endpoint.clone(), state).unwrap_or(CircuitState::Closed);
        let (was_open, is_open) = (before == CircuitState::Open, state == CircuitState::Open);
        if was_open == is_open {
            return;
        }
        let open = |name: &Name| states.get(name) == Some(&CircuitState::Open);
        for (agent, endpoints) in agents.iter() {
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

    #[test]
    fn agents_that_come_are_watched_and_endpoints_that_went_are_forgotten() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let ward = Ward::new([(name("pair"), vec![name("a"), name("b")])]);
        let told = std::cell::RefCell::new(Vec::new());
        let tell =
            |r: Rested| told.borrow_mut().push(format!("{}{}", r.agent, if r.rested { "-" } else { "+" }));
        let opens = |endpoint: &str| ward.change(&name(endpoint), CircuitState::Open, tell);
        opens("a");
        opens("b");
        let agents =
            || [(name("pair"), vec![name("a"), name("b")]), (name("new"), vec![name("b"), name("c")])];
        ward.watch(agents(), |_| true, tell);
        assert_eq!(told.borrow().join(" "), "pair-");
        opens("c");
        ward.watch(agents(), |endpoint| *endpoint != "b", tell);
        assert_eq!(told.borrow().join(" "), "pair- new- pair+ new+", "`b` is another one now, and well");
        opens("b");
        assert_eq!(told.borrow().join(" "), "pair- new- pair+ new+ pair- new-");
    }
}
