"""The `instructor` package over three clients, at each door: objects by a tool, and by a JSON schema."""

import anthropic
import instructor
import openai
from checks import KEY, NO_MODEL, ORIGIN, PROMPT, UNKNOWN, WRONG_KEY, Skip, Weather, equal, raises, run, sample
from google import genai
from instructor.core.exceptions import InstructorRetryException
from pydantic import field_validator

MESSAGES = [{"role": "user", "content": PROMPT}]


def from_openai(key, mode):
    client = openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=key, max_retries=0, timeout=15)
    return instructor.from_openai(client, mode=mode)


def from_anthropic(key, mode):
    client = anthropic.Anthropic(base_url=ORIGIN, api_key=key, max_retries=0, timeout=15)
    return instructor.from_anthropic(client, mode=mode)


def from_genai(key, mode):
    options = genai.types.HttpOptions(base_url=ORIGIN, timeout=15_000)
    return instructor.from_genai(genai.Client(api_key=key, http_options=options), mode=mode)


def checks(make, by_tool, by_schema, options):
    """The checks by a client of `make`, which takes a key and a mode."""

    def create(model, key=KEY, response_model=Weather, max_retries=0, mode=by_tool):
        return make(key, mode).create(model=model, messages=MESSAGES, response_model=response_model,
                                      max_retries=max_retries, **options)

    def object_by_tool(model):
        sample(create(model))

    def object_by_schema(model):
        if by_schema is None:
            raise Skip("the package sends no schema at this door")
        sample(create(model, mode=by_schema))

    def stream(model):
        parts = list(make(KEY, by_tool).create_partial(
            model=model, messages=MESSAGES, response_model=Weather, max_retries=0, **options))
        sample(parts[-1])

    def asked_again(model):
        seen = []

        class Picky(Weather):
            @field_validator("city")
            @classmethod
            def second(cls, city):
                seen.append(city)
                if len(seen) == 1:
                    raise ValueError("a city like that again")
                return city

        found = create(model, response_model=Picky, max_retries=2)
        equal(len(seen), 2, "the number of answers")
        equal((seen[0], "a city like that again" in found.city), (PROMPT, True), f"the cities {seen!r}")

    def unknown_model(_model):
        raises(InstructorRetryException, lambda: create(UNKNOWN), says=NO_MODEL)

    def wrong_key(model):
        raises(InstructorRetryException, lambda: create(model, WRONG_KEY), says="401")

    return {
        "object, by tool": object_by_tool, "object, by schema": object_by_schema, "object, streamed": stream,
        "tool loop, asked again": asked_again, "unknown model": unknown_model, "wrong key": wrong_key,
    }


MODE = instructor.Mode
for door, own in {
    "chat": checks(from_openai, MODE.TOOLS, MODE.JSON_SCHEMA, {}),
    "responses": checks(from_openai, MODE.RESPONSES_TOOLS, None, {}),
    "messages": checks(from_anthropic, MODE.TOOLS, None, {"max_tokens": 2000}),
    "contents": checks(from_genai, MODE.TOOLS, MODE.JSON, {}),
}.items():
    run("instructor", door, own)
