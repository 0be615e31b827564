//! Which answers are worth keeping: right, whole ones.

use maof_core::{Answer, Choice, Conformity, Finish, Head, Part, Response};

/// Whether an answer may be given again: not one that was cut off, filtered or refused, that breaks its schema or
/// that says nothing. The next one to ask should have a better one.
pub(crate) fn is_worth_keeping(head: &Head, response: &Response) -> bool {
    if head.schema == Some(Conformity::Invalid) {
        return false;
    }
    match response.answer() {
        Ok(Answer::Chat(chat)) => !chat.choices.is_empty() && chat.choices.iter().all(is_whole),
        Ok(Answer::Embed(embed)) => !embed.vectors.is_empty(),
        Ok(Answer::CountTokens(_)) => true,
        Ok(Answer::Image(_) | Answer::Transcribe(_) | Answer::Speech(_)) | Err(_) => false,
    }
}

fn is_whole(choice: &Choice) -> bool {
    let parts = &choice.message.parts;
    matches!(choice.finish, Some(Finish::Stop | Finish::ToolCalls))
        && parts.iter().any(|part| part.bytes() > 0)
        && !parts.iter().any(|part| matches!(part, Part::Refusal { .. }))
}

#[cfg(test)]
mod tests {
    use maof_core::{ChatAnswer, EmbedAnswer};

    use super::*;

    fn answer(parts: Vec<Part>, finish: Option<Finish>) -> Response {
        let mut chat = ChatAnswer::text("");
        chat.choices[0].message.parts = parts;
        chat.choices[0].finish = finish;
        Response::chat(chat)
    }

    #[test]
    fn only_right_and_whole_answers_are_worth_keeping() {
        let head = |schema| Head { schema, ..Head::default() };
        let check = |response: &Response, expect| {
            assert_eq!(is_worth_keeping(&head(None), response), expect, "{response:?}");
        };
        let said = || vec![Part::text("a")];
        check(&answer(said(), Some(Finish::Stop)), true);
        check(&answer(said(), Some(Finish::ToolCalls)), true);
        check(&answer(said(), Some(Finish::Length)), false);
        check(&answer(said(), Some(Finish::ContentFilter)), false);
        check(&answer(said(), Some(Finish::Other("pause_turn".to_owned()))), false);
        check(&answer(said(), None), false);
        check(&answer(vec![Part::text("")], Some(Finish::Stop)), false);
        check(&answer(vec![], Some(Finish::Stop)), false);
        check(&answer(vec![Part::Refusal { text: "no".to_owned() }], Some(Finish::Stop)), false);
        check(&Response::chat(ChatAnswer::default()), false);
        check(&Response::typed(Answer::Embed(EmbedAnswer { vectors: vec![vec![0.5]] })), true);
        check(&Response::typed(Answer::Embed(EmbedAnswer::default())), false);
        check(&Response::typed(Answer::CountTokens(0)), true);
        let good = answer(said(), Some(Finish::Stop));
        assert!(is_worth_keeping(&head(Some(Conformity::Repaired)), &good));
        assert!(!is_worth_keeping(&head(Some(Conformity::Invalid)), &good));
    }

    #[test]
    fn one_choice_that_was_cut_off_spoils_the_answer() {
        let mut chat = ChatAnswer::text("a");
        let mut cut = chat.choices[0].clone();
        cut.finish = Some(Finish::Length);
        chat.choices.push(cut);
        assert!(!is_worth_keeping(&Head::default(), &Response::chat(chat)));
    }
}
