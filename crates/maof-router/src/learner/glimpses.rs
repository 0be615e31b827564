//! What was seen of the prompts of decisions that wait for feedback, as it is kept for the next start.
//!
//! Hashes of words and numbers about the text: the prompt cannot be read from it, but whoever has it can tell whether it was this
//! one. Little-endian; the version, the check sum of the model that saw, then for each decision its id and what was seen. Where it was
//! seen in a few numbers by a linear bandit: the version, then for each decision its id and each number as 4 bytes.

use std::sync::Arc;

use maof_core::{DecisionId, Error, Result};

use crate::learned::bandit::linear::MAX_DIMENSION;
use crate::learned::{Context, Seen};

const VERSION: u8 = 1;

pub(crate) fn to_bytes(model: u64, seen: &[(DecisionId, Seen)]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(model.to_le_bytes());
    for (id, seen) in seen {
        out.extend(id.uuid().as_u128().to_le_bytes());
        seen.write(&mut out);
    }
    out
}

/// The check sum of the model, and what was seen.
///
/// # Errors
/// `invalid_request` where it is damaged or of another version.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<(u64, Vec<(DecisionId, Seen)>)> {
    let damaged = || Error::invalid_request("what was seen of prompts is damaged or of another version");
    let (&VERSION, rest) = bytes.split_first().ok_or_else(damaged)? else { return Err(damaged()) };
    let (model, mut rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (id, after) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (seen, after) = Seen::read(after).ok_or_else(damaged)?;
        all.push((DecisionId::from_uuid(uuid::Uuid::from_u128(u128::from_le_bytes(*id))), seen));
        rest = after;
    }
    Ok((u64::from_le_bytes(*model), all))
}

pub(crate) fn contexts_to_bytes(contexts: &[(DecisionId, Arc<Context>)]) -> Vec<u8> {
    let mut out = vec![VERSION];
    for (id, context) in contexts {
        out.extend(id.uuid().as_u128().to_le_bytes());
        context.iter().for_each(|number| out.extend((*number as f32).to_le_bytes()));
    }
    out
}

/// What [`contexts_to_bytes`] wrote.
///
/// # Errors
/// `invalid_request` where it is damaged or of another version.
pub(crate) fn contexts_from_bytes(bytes: &[u8]) -> Result<Vec<(DecisionId, Context)>> {
    let damaged = || Error::invalid_request("the contexts of prompts are damaged or of another version");
    let (&VERSION, mut rest) = bytes.split_first().ok_or_else(damaged)? else { return Err(damaged()) };
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (id, after) = rest.split_first_chunk().ok_or_else(damaged)?;
        rest = after;
        let mut context = [0.0; MAX_DIMENSION];
        for number in &mut context {
            let (bytes, after) = rest.split_first_chunk().ok_or_else(damaged)?;
            (*number, rest) = (f64::from(f32::from_le_bytes(*bytes)), after);
            if !number.is_finite() {
                return Err(damaged());
            }
        }
        all.push((DecisionId::from_uuid(uuid::Uuid::from_u128(u128::from_le_bytes(*id))), context));
    }
    Ok(all)
}
