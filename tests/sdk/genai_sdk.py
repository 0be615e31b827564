"""The `google-genai` package at `/v1beta`, and at `/v1`, which is its default."""

from checks import (
    ANSWER, KEY, NO_MODEL, ORIGIN, PROMPT, THOUGHT, UNKNOWN, WRONG_KEY, Tool, Weather, equal, raises, run,
    sample, streamed, whole, without_thoughts,
)
from google import genai
from google.genai import errors, types


OPTIONS = types.HttpOptions(base_url=ORIGIN, timeout=15_000)


def client(key=KEY):
    return genai.Client(api_key=key, http_options=OPTIONS)


def tokens(answer):
    return answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count


def ask(model, key=KEY):
    # The client has to outlive the call.
    own = client(key)
    return own.models.generate_content(model=model, contents=PROMPT)


def chat(model):
    answer = ask(model)
    whole(answer.text, tokens(answer))
    equal(answer.candidates[0].finish_reason, types.FinishReason.STOP, "the finish reason")


def stream(model):
    own = client()
    chunks = list(own.models.generate_content_stream(model=model, contents=PROMPT))
    streamed([chunk.text for chunk in chunks], tokens(chunks[-1]))
    equal(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP, "the finish reason")


def tool(model):
    own, tool = client(), Tool()
    config = types.GenerateContentConfig(tools=[tool.weather])
    tool.used(own.models.generate_content(model=model, contents=PROMPT, config=config).text)


def tool_stream(model):
    own, tool = client(), Tool()
    config = types.GenerateContentConfig(tools=[tool.weather])
    chunks = own.models.generate_content_stream(model=model, contents=PROMPT, config=config)
    tool.used("".join(chunk.text or "" for chunk in chunks))


def chat_session(model):
    own, tool = client(), Tool()
    session = own.chats.create(model=model, config=types.GenerateContentConfig(tools=[tool.weather]))
    tool.used(session.send_message(PROMPT).text)


def object_by_schema(model):
    own = client()
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Weather)
    sample(own.models.generate_content(model=model, contents=PROMPT, config=config).parsed)


def object_by_json_schema(model):
    own = client()
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=Weather.model_json_schema())
    answer = own.models.generate_content(model=model, contents=PROMPT, config=config)
    sample(Weather.model_validate_json(answer.text))


def count_tokens(model):
    own = client()
    count = own.models.count_tokens(model=model, contents=PROMPT)
    equal(count.total_tokens > 0, True, f"{count.total_tokens} are tokens")


def thinking(model):
    own = client()
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024), max_output_tokens=2000)
    answer = own.models.generate_content(model=model, contents=PROMPT, config=config)
    equal(answer.text, ANSWER, "the text")
    without_thoughts(model)
    thoughts = [part.text for part in answer.candidates[0].content.parts if part.thought]
    equal(thoughts, [THOUGHT], "the thoughts")


def unknown_model(_model):
    raises(errors.ClientError, lambda: ask(UNKNOWN), 404, NO_MODEL)


def wrong_key(model):
    raises(errors.ClientError, lambda: ask(model, WRONG_KEY), 401)


CHECKS = {
    "chat": chat, "stream": stream, "tool loop": tool, "tool loop, streamed": tool_stream,
    "tool loop in a chat": chat_session, "object, by schema": object_by_schema,
    "object, by JSON schema": object_by_json_schema, "count_tokens": count_tokens, "thinking": thinking,
    "unknown model": unknown_model, "wrong key": wrong_key,
}
# Older ones ask at `/v1beta`; this one does at `/v1`, unless it is told otherwise.
for version in ["v1beta", "v1"]:
    OPTIONS.api_version = version
    run("google-genai", version, CHECKS)
