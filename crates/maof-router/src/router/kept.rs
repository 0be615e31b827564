//! What a router learned, as it outlives the process: parts under names, each some bytes.

use maof_core::{Error, Result};

use super::Router;
use crate::learned::{Model, hash};
use crate::learner::{Saved, SavedLinear, glimpses};

/// What sampling learned, and the decisions that wait for feedback.
const LEARNED: &str = "router.learned";
/// What was seen of the prompts of those decisions, where a model learns from them; after them.
const SEEN: &str = "router.seen";
/// The heads of the model, where feedback moved them: the check sum of the model that they were at first, and the model.
const MODEL: &str = "router.model";
/// What linear sampling learned, and under which name.
const LINEAR: &str = "router.linear";
/// By which numbers it drew for those decisions; after them.
const CONTEXTS: &str = "router.contexts";

impl Router {
    /// The names of the parts that [`Router::parts`] may give.
    pub const PARTS: [&str; 5] = [LEARNED, SEEN, MODEL, LINEAR, CONTEXTS];

    /// What was learned here so far, and the last 4,096 decisions that wait for feedback: parts to be kept under their
    /// names, for [`Router::resume`], in this order. What is not learned here is not there. At most about a megabyte, some kilobytes
    /// for each of those decisions where a model learns, and the model if feedback moved it; where linear sampling learns 60 kB for
    /// each agent's endpoint and node, and 328 bytes for each of those decisions.
    ///
    /// # Errors
    /// `internal`.
    pub fn parts(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let mut parts = Vec::new();
        let Some(memory) = &self.memory else { return Ok(parts) };
        let state = self.bandit.as_ref().map(|bandit| (bandit.node(), bandit.state()));
        let (node, state) = state.unzip();
        let node = node.unwrap_or_else(|| self.ports.node.clone());
        parts.push((LEARNED, Saved::new(node, state, memory.waiting()).to_bytes()?));
        if let Some(heads) = &self.heads {
            let seen = memory.seen();
            if !seen.is_empty() {
                parts.push((SEEN, glimpses::to_bytes(heads.at_first(), &seen)));
            }
            let now = heads.model().to_bytes();
            if hash(&now) != heads.at_first() {
                parts.push((MODEL, [&heads.at_first().to_le_bytes(), &*now].concat()));
            }
        }
        if let Some(linear) = &self.linear {
            parts.push((LINEAR, SavedLinear::new(linear.node(), linear.state()).to_bytes()?));
            let contexts = memory.contexts();
            if !contexts.is_empty() {
                parts.push((CONTEXTS, glimpses::contexts_to_bytes(&contexts)));
            }
        }
        Ok(parts)
    }

    /// Goes on from a part that a router of the process before this one gave, under the name that it learned by then; before
    /// the first call. What this router does not learn is passed by, as is the model where another one is configured now.
    ///
    /// # Errors
    /// `invalid_request` naming the part, where it is damaged or of another version; then that part is as it was.
    pub fn resume(&self, part: &str, bytes: &[u8]) -> Result<()> {
        let named = |e: Error| e.param(part.to_owned());
        match part {
            LEARNED => self.resume_learned(&Saved::from_bytes(bytes).map_err(named)?).map_err(named),
            SEEN => self.resume_seen(bytes).map_err(named),
            MODEL => self.resume_model(bytes).map_err(named),
            LINEAR => self.resume_linear(bytes).map_err(named),
            CONTEXTS => self.resume_contexts(bytes).map_err(named),
            _ => Err(named(Error::invalid_request("no router gives such a part"))),
        }
    }

    fn resume_learned(&self, saved: &Saved) -> Result<()> {
        if let (Some(bandit), Some(state)) = (&self.bandit, &saved.thompson) {
            bandit.resume(saved.node.clone(), state)?;
        }
        if let Some(memory) = &self.memory {
            memory.resume(saved.decisions.clone(), self.ports.clock.now());
        }
        Ok(())
    }

    fn resume_seen(&self, bytes: &[u8]) -> Result<()> {
        let (model, seen) = glimpses::from_bytes(bytes)?;
        if let (Some(heads), Some(memory)) = (&self.heads, &self.memory)
            && model == heads.at_first()
        {
            memory.resume_seen(seen);
        }
        Ok(())
    }

    fn resume_linear(&self, bytes: &[u8]) -> Result<()> {
        let saved = SavedLinear::from_bytes(bytes)?;
        self.linear.as_ref().map_or(Ok(()), |linear| linear.resume(saved.node, &saved.state))
    }

    fn resume_contexts(&self, bytes: &[u8]) -> Result<()> {
        let contexts = glimpses::contexts_from_bytes(bytes)?;
        if let (Some(_), Some(memory)) = (&self.linear, &self.memory) {
            memory.resume_contexts(contexts);
        }
        Ok(())
    }

    fn resume_model(&self, bytes: &[u8]) -> Result<()> {
        let Some(heads) = &self.heads else { return Ok(()) };
        let Some((base, model)) = bytes.split_first_chunk() else {
            return Err(Error::invalid_request("the model that was kept is damaged"));
        };
        if u64::from_le_bytes(*base) == heads.at_first() {
            heads.resume(Model::from_bytes(model)?);
        }
        Ok(())
    }
}
