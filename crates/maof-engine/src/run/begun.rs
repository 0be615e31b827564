//! How a run begins: thought through before it is accepted, so that its acceptance and the announcement of
//! its first calls are one write.

use std::sync::Arc;

use bytes::Bytes;
use maof_core::{Finished, Result, Task};
use serde_json::Value;

use super::step::{Command, Machine};
use crate::record::Record;
use crate::workflow::Workflow;

/// A run that was accepted, and nothing more.
pub(crate) struct Begun {
    pub(super) machine: Machine,
    pub(super) commands: Vec<Command>,
}

impl Begun {
    pub(crate) fn new(workflow: &Arc<Workflow>, task: &Task) -> Begun {
        let mut machine = Machine::new(Arc::clone(workflow), &task.content);
        // The record itself says nothing that is not known.
        let commands = machine.step(&Record::Accepted { workflow: Value::Null });
        Begun { machine, commands }
    }

    /// The records that its first calls are about to be made.
    ///
    /// # Errors
    /// `internal` when one cannot be encoded.
    pub(crate) fn records(&self) -> Result<Vec<Bytes>> {
        // A run that ends before its first call makes none.
        if the_end(&self.commands).is_some() {
            return Ok(Vec::new());
        }
        Record::encode_all(&announced(&self.commands).collect::<Vec<_>>())
    }
}

/// The end among these commands; what else is commanded with it is of no more use.
pub(super) fn the_end(commands: &[Command]) -> Option<&Finished> {
    commands.iter().find_map(|command| match command {
        Command::Finish(finished) => Some(finished),
        _ => None,
    })
}

/// The records that calls are about to be made.
pub(super) fn announced(commands: &[Command]) -> impl Iterator<Item = Record> {
    commands.iter().filter_map(|command| match command {
        Command::Call { slot, step, target, attempt, .. } => Some(Record::Asked {
            slot: *slot,
            step: Arc::clone(step),
            target: target.to_string(),
            attempt: *attempt,
        }),
        _ => None,
    })
}
