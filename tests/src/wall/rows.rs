//! The sixteen faults of the wall.

use maof_testkit::Act;
use serde_json::json;

use super::case::Check::*;
use super::case::{BOTH, Bill, Case, Drive, Row, STREAM, STREAMS, Speech, WHOLE, Way};

/// The statuses of an upstream that is not there: unavailable, protocol, timeout.
pub(super) const AWAY: &[u16] = &[502, 503, 504];

/// The rows F01 to F16.
pub fn sixteen() -> Vec<Row> {
    vec![
        limited(),
        limited_for_ever(),
        one_failure(),
        down(),
        reset(),
        silent(),
        late(),
        cut(),
        stalled(),
        malformed(),
        without_terminator(),
        too_long(),
        filtered(),
        choosy_fallback(),
        flapping(),
        fallback(),
    ]
}

/// A case for each way.
pub(super) fn each<'a>(ways: &'a [Way], case: impl Fn(Way) -> Case + 'a) -> impl Iterator<Item = Case> + 'a {
    ways.iter().map(move |way| case(*way))
}

/// The same fault, and another upstream that answers.
pub(super) fn with_fallback(case: Case) -> Case {
    case.up([Act::Ok]).note("with a fallback")
}

fn limited() -> Row {
    let waited = |way| {
        let acts = [Act::retry_after(429, "1"), Act::Ok];
        Case::new(way).up(acts).see([Answer, Attempts(0, 2, 2), Gap(1_000), Within(6_000)])
    };
    let elsewhere = |way| {
        let case = Case::new(way).up([Act::retry_after(429, "3600")]).up([Act::Ok]);
        let case = case.see([Answer, AnsweredBy(1), Attempts(0, 1, 1), Within(4_000)]);
        case.note("to come back in an hour; with a fallback")
    };
    let must = "waits that long (or goes elsewhere), then succeeds";
    Row::new("F01", "429 with Retry-After: 1", must, each(&BOTH, waited).chain(each(&BOTH, elsewhere)))
}

fn limited_for_ever() -> Row {
    let case = |way| {
        let checks = [Refused(&[429]), SaysWhen, AttemptsIn(4, 3_000), Within(12_000)];
        Case::new(way).up([Act::retry_after(429, "1")]).see(checks)
    };
    let hour = Case::new(WHOLE).up([Act::retry_after(429, "3600")]).note("to come back in an hour");
    let hour = hour.see([Refused(&[429]), SaysWhen, Attempts(0, 1, 1), Within(4_000)]);
    let must = "at most 4 attempts in 3 s, then a clear error with retry_after";
    Row::new("F02", "429 for ever", must, each(&BOTH, case).chain([hour]))
}

fn one_failure() -> Row {
    let case = |way| {
        let acts = [Act::status(500), Act::Ok];
        Case::new(way).up(acts).see([Answer, Attempts(0, 2, 2), Within(6_000)])
    };
    Row::new("F03", "one 500, then fine", "succeeds, the caller sees nothing", each(&BOTH, case))
}

fn down() -> Row {
    let alone = |way| {
        let checks = [Refused(&[503]), AttemptsIn(6, 60_000), Within(12_000)];
        Case::new(way).up([Act::status(503)]).see(checks)
    };
    let elsewhere = |way| {
        let checks = [Answer, AnsweredBy(1), AttemptsIn(6, 60_000), Within(12_000)];
        with_fallback(Case::new(way).up([Act::status(503)])).see(checks)
    };
    let must = "at most 6 attempts in all, then the fallback or a clear error";
    Row::new("F04", "503 for ever", must, each(&BOTH, alone).chain(each(&BOTH, elsewhere)))
}

fn reset() -> Row {
    let retried =
        |way| Case::new(way).up([Act::Reset, Act::Ok]).see([Answer, AttemptsIn(6, 60_000), Within(6_000)]);
    let elsewhere = |way| {
        with_fallback(Case::new(way).up([Act::Reset])).see([Answer, AttemptsIn(6, 60_000), Within(8_000)])
    };
    Row::new(
        "F05",
        "TCP reset before any byte",
        "retried, or asked elsewhere",
        each(&BOTH, retried).chain(each(&BOTH, elsewhere)),
    )
}

fn silent() -> Row {
    let elsewhere = |way| {
        let case = Case::new(way).billed(Bill::Perhaps, [Act::Hang]);
        with_fallback(case).see([Answer, Attempts(0, 1, 1), AnsweredBy(1), Within(6_000)])
    };
    let alone = |way| {
        let case = Case::new(way).billed(Bill::Perhaps, [Act::Hang]);
        case.see([Refused(&[504]), Within(20_000)])
    };
    Row::new(
        "F06",
        "accepts, never answers",
        "leaves after the first attempt timeout, the whole call within its deadline",
        each(&BOTH, elsewhere).chain(each(&BOTH, alone)),
    )
    .set(|config| config["resilience"]["timeout"] = json!({"attempt_ms": 3_000, "first_token_ms": 3_000}))
}

fn late() -> Row {
    let case = |act: Act, note| {
        let case = Case::new(STREAM).billed(Bill::Perhaps, [act]).up([Act::Ok]).note(note);
        case.see([Answer, AnsweredBy(1), FirstWithin(15_000), Within(15_000)])
    };
    let head = case(Act::Late(20_000), "the head comes at once");
    let all = case(Act::Delay(20_000), "the head too comes after 20 s");
    let must = "the first-token limit fires, another answers in < 15 s";
    Row::new("F07", "streaming: first token after 20 s", must, [head, all])
}

fn cut() -> Row {
    let case = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::Cut(way.after(40))]).up([Act::Ok]);
        case.see([RescuedOrTold, Within(8_000)])
    };
    let whole = Case::new(WHOLE).billed(Bill::Perhaps, [Act::Cut(300), Act::Ok]).see([Answer, Within(8_000)]);
    let must = "never a silent clean end: rescued, or an in-band error event";
    Row::new("F08", "cut after 40 of 60 tokens", must, each(&STREAMS, case).chain([whole]))
}

fn stalled() -> Row {
    let case = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::Stall(way.after(40))]).up([Act::Ok]);
        case.see([RescuedOrTold, Within(12_000)])
    };
    let whole = Case::new(WHOLE).billed(Bill::Perhaps, [Act::Stall(300)]).up([Act::Ok]);
    let whole = whole.see([AnswerOrRefused, Within(12_000)]);
    Row::new(
        "F09",
        "stream stalls mid-way",
        "the idle timeout fires, the process stays healthy, no connection leaks",
        each(&STREAMS, case).chain([whole]),
    )
}

fn malformed() -> Row {
    let frame = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::Malformed(way.after(20))]).up([Act::Ok]);
        case.see([Told, Within(8_000)]).note("a frame is broken JSON")
    };
    let chunk = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::MalformedChunk(way.after(20))]).up([Act::Ok]);
        case.see([Told, Within(8_000)]).note("a chunk of the transfer has no length")
    };
    let whole = |act: Act| Case::new(WHOLE).billed(Bill::Perhaps, [act, Act::Ok]).see([AnswerOrRefused]);
    Row::new(
        "F10",
        "one malformed chunk",
        "in-band error event; never skipped silently, no crash, no garbage passed on as text",
        each(&STREAMS, frame)
            .chain([chunk(STREAM), whole(Act::Malformed(0)), whole(Act::MalformedChunk(0))])
            .collect::<Vec<_>>(),
    )
}

fn without_terminator() -> Row {
    let known = |way: &Way| way.upstream != Speech::Contents;
    let ways: Vec<Way> = STREAMS.into_iter().filter(known).collect();
    let ended = |way: Way| {
        let case = Case::new(way).up([Act::NoTerminator]).note("the reason of ending was seen");
        case.see([Answer, Within(8_000)])
    };
    let ended: Vec<Case> = ways.iter().map(|way| ended(*way)).collect();
    // The frame with the reason is the 62nd; usage and `[DONE]` would come after it.
    let open = Case::new(STREAM).up([Act::Stall(STREAM.after(61))]).note("it was seen, then silence");
    let open = open.see([Answer, Within(8_000)]);
    // Gemini's last frame is the one that says why.
    let cut = |way: Way| {
        let case = Case::new(way).billed(Bill::Part, [Act::NoTerminator]).up([Act::Ok]);
        case.see([RescuedOrTold, Within(8_000)]).note("no reason of ending was seen")
    };
    let gemini = STREAMS.into_iter().filter(|way| !known(way)).map(cut);
    Row::new(
        "F11",
        "stream ends without its terminator",
        "reason seen: clean end in < 8 s, usage present; not seen: in-band error",
        ended.into_iter().chain([open]).chain(gemini).collect::<Vec<_>>(),
    )
}

/// A refusal with 400, in each dialect's own words.
fn refusal(way: Way, code: &str, words: [&str; 3]) -> Act {
    let [openai, anthropic, gemini] = words;
    let message = match way.upstream {
        Speech::Chat => openai,
        Speech::Messages => anthropic,
        Speech::Contents => gemini,
    };
    Act::Status { status: 400, retry_after: None, body: Some(way.upstream.failure(code, message)) }
}

/// Each upstream dialect, whole and streamed.
const DIALECTS: [Way; 4] = [
    WHOLE,
    STREAM,
    Way { upstream: Speech::Messages, ..WHOLE },
    Way { upstream: Speech::Contents, ..STREAM },
];

fn too_long() -> Row {
    let said = [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        "prompt is too long: 212403 tokens > 200000 maximum",
        "The input token count (1201337) exceeds the maximum number of tokens allowed (1048576).",
    ];
    let refused = move |way: Way| refusal(way, "context_length_exceeded", said);
    let alone = move |way: Way| {
        let case = Case::new(way).up([refused(way)]).see([Refused(&[400]), Attempts(0, 1, 1)]);
        case.see([Says("context_length"), Within(4_000)])
    };
    let elsewhere = move |way: Way| {
        let case = with_fallback(Case::new(way).up([refused(way)]));
        case.see([Answer, AnsweredBy(1), Attempts(0, 1, 1), Within(4_000)])
    };
    Row::new(
        "F12",
        "context_length error",
        "never retried on the same model; routed to a larger one if allowed",
        each(&DIALECTS, alone).chain(each(&DIALECTS, elsewhere)),
    )
}

fn filtered() -> Row {
    let said = [
        "The response was filtered due to the prompt triggering our content management policy.",
        "Output blocked by content filtering policy",
        "The request was blocked by the content filter.",
    ];
    let case = move |way: Way| {
        let case = Case::new(way).up([refusal(way, "content_filter", said)]).up([Act::Ok]);
        case.see([
            Refused(&[400]),
            Says("content_filter"),
            Attempts(0, 1, 1),
            Attempts(1, 0, 0),
            Within(4_000),
        ])
    };
    Row::new("F13", "content filter refusal", "never retried, never routed around", each(&DIALECTS, case))
}

fn choosy_fallback() -> Row {
    let prefill = |way: Way| {
        let mut case = Case::new(way).up([Act::status(503)]).up([Act::RefusePrefill]);
        case.prefill = true;
        case.see([AnswerOrRefused, Within(8_000)]).note("an assistant prefill")
    };
    let parameter = |way: Way| {
        let mut case = Case::new(way).up([Act::status(503)]).speaking(Speech::Messages, [Act::Ok]);
        case.extra = json!({"logit_bias": {"50256": -100}});
        case.see([AnswerOrRefused, Within(8_000)]).note("a parameter that its dialect does not have")
    };
    Row::new(
        "F14",
        "the fallback rejects what the first accepted",
        "translated or dropped by declared policy, or a clear error; never a truncated success",
        each(&BOTH, prefill).chain(each(&BOTH, parameter)),
    )
}

fn flapping() -> Row {
    // Scaled from 60 s to 12 s, with a breaker that rests for 1 s in place of a minute.
    let act = Act::Flap { down_ms: 0, ms: 3_000, for_ms: 12_000 };
    let case =
        Case::new(WHOLE).up([act]).up([Act::Ok]).note("20 calls a second for 16 s; a fifth of the time");
    let case =
        case.driven(Drive::Every(50, 16_000)).see([Answer, Within(8_000), Spared(0, 75), ReturnsTo(0, 40)]);
    Row::new("F15", "flapping for 60 s", "the breaker opens, probes, returns to the primary", [case])
        .set(|config| config["resilience"]["circuit_breaker"] = json!({"open_ms": 1_000}))
}

fn fallback() -> Row {
    let case = |way| {
        let case = Case::new(way).up([Act::status(500)]).up([Act::Ok]);
        let case = case.see([Answer, AnsweredBy(1), Attempts(1, 1, 1), Within(8_000)]);
        if way.stream { case } else { case.see([Costs]) }
    };
    let dialects = [
        WHOLE,
        STREAM,
        Way { upstream: Speech::Messages, ..WHOLE },
        Way { door: Speech::Messages, ..STREAM },
    ];
    Row::new(
        "F16",
        "the fallback answered",
        "names the model that answered, its usage and cost; every attempt has its row; failures cost 0",
        each(&dialects, case).collect::<Vec<_>>(),
    )
}
