//! One file a command.

pub(crate) mod agents;
pub(crate) mod budget;
pub(crate) mod config;
pub(crate) mod cost;
mod explain;
pub(crate) mod feedback;
pub(crate) mod prices;
pub(crate) mod route;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod tasks;
