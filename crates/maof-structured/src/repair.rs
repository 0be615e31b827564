//! The one turn in which a wrong answer is sent back with what is wrong with it.

use maof_core::{Call, Message, Result, Speaker};

use crate::schema::Broken;

/// Bytes of an answer that are sent back at most; what is longer is not worth another turn.
const MOST: usize = 256 << 10;

/// The call that asks again; none where the answer is too long to be sent back.
///
/// # Errors
/// `invalid_request` where the conversation cannot be read.
pub(crate) fn turn(call: &Call, answer: &str, broken: &Broken) -> Result<Option<Call>> {
    if answer.len() > MOST {
        return Ok(None);
    }
    let mut chat = (*call.body.chat()?).clone();
    // Providers refuse messages that say nothing.
    if !answer.trim().is_empty() {
        chat.messages.push(Message::text(Speaker::Assistant, answer));
    }
    let complaints = broken.complaints.join("\n- ");
    let text = format!(
        "Your last answer does not follow the JSON schema that was asked for:\n- {complaints}\nAnswer again with one \
         JSON value that follows it, and with nothing else."
    );
    chat.messages.push(Message::text(Speaker::User, text));
    let mut again = call.clone();
    again.body = call.body.with_chat(chat)?;
    again.turn += 1;
    Ok(Some(again))
}
