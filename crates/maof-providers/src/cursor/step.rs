//! One agent from launch to result, as a machine without I/O: events go in, commands come out.

use std::time::Duration;

use maof_core::{Error, Retry};

use super::wire::{Agent, Outcome, Status};

/// Looks that may fail one after the other before following is given up.
const MISSES: u32 = 5;
/// The longest pause that an upstream may ask for between two looks.
const PAUSE: Duration = Duration::from_secs(60);

/// What has happened.
#[derive(Debug)]
pub(super) enum Event {
    /// An agent is wanted.
    Begin,
    /// It has been launched or looked at.
    Agent(Agent),
    /// Its conversation has been read: the last thing that it said.
    Told(Option<String>),
    /// What was commanded failed.
    Failed(Error),
    /// The pause is over.
    Waited,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Command {
    /// Launch an agent.
    Launch,
    /// Pause until the next look; at least this long.
    Wait(Duration),
    /// Look at the agent of this id.
    Look(String),
    /// Read the conversation of the agent of this id.
    Read(String),
    /// That is the result.
    Finish(Box<Outcome>),
    /// There is none.
    Fail(Error),
}

#[derive(Debug, Default)]
enum State {
    #[default]
    New,
    Launching,
    Following(String),
    Reading(Box<Agent>),
    Over,
}

/// An agent's way.
#[derive(Debug)]
pub(super) struct Run {
    state: State,
    /// Looks that are left.
    looks: u64,
    misses: u32,
    running: bool,
}

impl Run {
    /// An agent that will be looked at so many times at most.
    pub(super) fn new(looks: u64) -> Self {
        Run { state: State::New, looks, misses: 0, running: false }
    }

    /// Whether there is an agent that is at work, as far as is known.
    pub(super) fn at_work(&self) -> bool {
        self.running
    }

    /// What is to be done after this has happened.
    pub(super) fn step(&mut self, event: Event) -> Command {
        match (std::mem::take(&mut self.state), event) {
            (State::New, Event::Begin) => self.to(State::Launching, Command::Launch),
            (State::Launching, Event::Failed(error)) => self.to(State::Over, Command::Fail(error)),
            (State::Launching | State::Following(_), Event::Agent(agent)) => self.seen(agent),
            (State::Following(id), Event::Waited) => self.to(State::Following(id.clone()), Command::Look(id)),
            (State::Following(id), Event::Failed(error)) => self.missed(id, error),
            (State::Reading(agent), Event::Told(message)) => {
                self.to(State::Over, Command::Finish(Box::new(Outcome { agent: *agent, message })))
            }
            // The work is done and paid for; without its last message it is still worth telling.
            (State::Reading(agent), Event::Failed(_)) => {
                self.to(State::Over, Command::Finish(Box::new(Outcome { agent: *agent, message: None })))
            }
            (state, event) => {
                let why = format!("an agent's event came out of turn: {event:?} in {state:?}");
                self.to(State::Over, Command::Fail(Error::internal(why)))
            }
        }
    }

    fn to(&mut self, state: State, command: Command) -> Command {
        self.state = state;
        command
    }

    fn seen(&mut self, agent: Agent) -> Command {
        self.misses = 0;
        self.running = false;
        match agent.status {
            Status::Finished => {
                let command = Command::Read(agent.id.clone());
                self.to(State::Reading(Box::new(agent)), command)
            }
            Status::Error => self.fail(&agent.id, Error::unavailable("it failed")),
            Status::Expired => self.fail(&agent.id, Error::unavailable("it expired before it was done")),
            Status::Working => {
                self.running = true;
                self.pause(agent.id, Duration::ZERO)
            }
        }
    }

    fn pause(&mut self, id: String, least: Duration) -> Command {
        match self.looks.checked_sub(1) {
            Some(left) => {
                self.looks = left;
                self.to(State::Following(id), Command::Wait(least.min(PAUSE)))
            }
            None => {
                let why = "it is not done in the time that `follow_ms` gives it";
                self.fail(&id, Error::timed_out(why))
            }
        }
    }

    fn missed(&mut self, id: String, error: Error) -> Command {
        self.misses += 1;
        let least = match error.retry() {
            Retry::Here => Duration::ZERO,
            Retry::After(wait) => wait,
            _ => return self.fail(&id, error),
        };
        match self.misses > MISSES {
            true => self.fail(&id, error),
            false => self.pause(id, least),
        }
    }

    /// An agent that was launched has had its effects: nobody asks again by himself.
    fn fail(&mut self, id: &str, error: Error) -> Command {
        let error = error.context(format_args!("Cursor's agent {id}")).retry_is(Retry::Never);
        self.to(State::Over, Command::Fail(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(status: &str) -> Event {
        let status = Status::from(status.to_owned());
        Event::Agent(Agent { id: "bc_1".to_owned(), status, summary: None, target: Default::default() })
    }

    /// The last of the commands that follow from these events, in words, and whether an agent is at work then.
    fn check(looks: u64, events: Vec<Event>, expect: &str, at_work: bool) {
        let shown = format!("{events:?}");
        let mut run = Run::new(looks);
        let mut last = run.step(Event::Begin);
        for event in events {
            last = run.step(event);
        }
        let said = match last {
            Command::Launch => "launch".to_owned(),
            Command::Wait(least) => format!("wait {}", least.as_secs()),
            Command::Look(id) => format!("look {id}"),
            Command::Read(id) => format!("read {id}"),
            Command::Finish(outcome) => format!("finish {:?}", outcome.message),
            Command::Fail(error) => format!("fail {} {:?}", error.kind().as_str(), error.retry()),
        };
        assert_eq!((said.as_str(), run.at_work()), (expect, at_work), "{shown}");
    }

    #[test]
    fn an_agent_is_launched_followed_and_read() {
        let told = |text: &str| Event::Told(Some(text.to_owned()));
        check(9, vec![], "launch", false);
        check(9, vec![agent("CREATING")], "wait 0", true);
        check(9, vec![agent("CREATING"), Event::Waited], "look bc_1", true);
        check(9, vec![agent("CREATING"), Event::Waited, agent("RUNNING")], "wait 0", true);
        check(9, vec![agent("CREATING"), Event::Waited, agent("SOMETHING_NEW")], "wait 0", true);
        check(9, vec![agent("CREATING"), Event::Waited, agent("FINISHED")], "read bc_1", false);
        check(9, vec![agent("FINISHED"), told("done")], "finish Some(\"done\")", false);
        check(9, vec![agent("FINISHED"), Event::Told(None)], "finish None", false);
        check(9, vec![agent("ERROR")], "fail unavailable Never", false);
        check(9, vec![agent("CREATING"), Event::Waited, agent("EXPIRED")], "fail unavailable Never", false);
    }

    #[test]
    fn a_launch_may_be_tried_again_and_what_follows_it_may_not() {
        let failed = |error: Error| Event::Failed(error);
        let down = || failed(Error::unavailable("down"));
        check(9, vec![down()], "fail unavailable Here", false);
        check(9, vec![failed(Error::invalid_request("no"))], "fail invalid_request Never", false);
        let launched =
            |more: Vec<Event>| [agent("CREATING"), Event::Waited].into_iter().chain(more).collect();
        check(9, launched(vec![down()]), "wait 0", true);
        let limited = |secs| Error::rate_limited("slow").retry_is(Retry::After(Duration::from_secs(secs)));
        check(9, launched(vec![failed(limited(7))]), "wait 7", true);
        check(9, launched(vec![failed(limited(7_000))]), "wait 60", true);
        let gone = Error::unavailable("gone").retry_is(Retry::Elsewhere);
        check(9, launched(vec![failed(gone)]), "fail unavailable Never", true);
        let downs = |count: usize| (0..count).flat_map(|_| [down(), Event::Waited]);
        check(99, launched(downs(5).collect()), "look bc_1", true);
        check(99, launched(downs(5).chain([down()]).collect()), "fail unavailable Never", true);
        let forgiven = downs(5).chain([agent("RUNNING"), Event::Waited, down()]);
        check(99, launched(forgiven.collect()), "wait 0", true);
        check(9, vec![agent("FINISHED"), down()], "finish None", false);
    }

    #[test]
    fn following_ends_when_its_looks_are_used_up() {
        let look = || [Event::Waited, agent("RUNNING")];
        check(2, [agent("RUNNING")].into_iter().chain(look()).collect(), "wait 0", true);
        let events = [agent("RUNNING")].into_iter().chain(look()).chain(look());
        check(2, events.collect(), "fail timeout Never", true);
    }

    #[test]
    fn events_out_of_turn_are_faults_of_ours() {
        check(9, vec![Event::Waited], "fail internal Never", false);
        check(9, vec![agent("FINISHED"), Event::Waited], "fail internal Never", false);
        let over = vec![agent("FINISHED"), Event::Told(None), agent("RUNNING")];
        check(9, over, "fail internal Never", false);
    }
}
