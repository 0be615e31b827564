// The `ai` npm package by each of its providers, at each door. Lines as in checks.py.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import assert from 'node:assert/strict';
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false;
const { ORIGIN, KEY, MODELS } = process.env;
const PROMPT = 'größer 🦀 now';
const ANSWER = `echo: ${PROMPT}`;
const UNKNOWN = 'nobodys-model';
const SECONDS = 20;

const v1 = { baseURL: `${ORIGIN}/v1` };
const COMPATIBLE = { name: 'maof', includeUsage: true, supportsStructuredOutputs: true };
const DOORS = {
  chat: (key) => createOpenAI({ ...v1, apiKey: key }).chat,
  'chat (compatible)': (key) =>
    createOpenAICompatible({ ...v1, ...COMPATIBLE, apiKey: key }).chatModel,
  responses: (key) => createOpenAI({ ...v1, apiKey: key }).responses,
  messages: (key) => createAnthropic({ ...v1, apiKey: key }),
  contents: (key) => createGoogleGenerativeAI({ baseURL: `${ORIGIN}/v1beta`, apiKey: key }),
};

/** What is asked of a model. */
const asking = (model, more = {}) => ({
  model, prompt: PROMPT, maxRetries: 0, abortSignal: AbortSignal.timeout(SECONDS * 1000), ...more,
});

/** A tool that notes with what it was called, for a loop. */
function weather() {
  const calls = [];
  const own = tool({
    description: 'The weather of a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (calls.push(city), `18 C in ${city}`),
  });
  const used = (text, steps) => {
    assert.deepEqual(calls, [PROMPT], "the tool's calls");
    assert.equal(steps.length, 2, 'the steps');
    assert.ok(text.startsWith('echo: ') && text.includes(`18 C in ${PROMPT}`), `the final text ${text}`);
  };
  return { loop: { tools: { weather: own }, stopWhen: stepCountIs(4) }, used };
}

function whole(text, usage) {
  assert.equal(text, ANSWER, 'the text');
  assert.deepEqual([usage.inputTokens, usage.outputTokens], [3, 4], 'the tokens in and out');
}

/** A stream's pieces; what fails in it is thrown. */
async function pieces(result) {
  const found = [];
  for await (const part of result.fullStream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'text-delta') found.push(part.text);
  }
  return found;
}

async function refused(model, status, says) {
  await assert.rejects(generateText(asking(model)), (error) => {
    assert.ok(APICallError.isInstance(error), `no APICallError but ${error}`);
    assert.equal(error.statusCode, status, 'the status of the error');
    if (says) assert.ok(error.message.includes(says), `the error ${error.message}`);
    return true;
  });
}

const CHECKS = {
  chat: async (door, model) => {
    const { text, usage, finishReason } = await generateText(asking(door(KEY)(model)));
    whole(text, usage);
    assert.equal(finishReason, 'stop', 'the finish reason');
  },
  stream: async (door, model) => {
    const result = streamText(asking(door(KEY)(model), { onError() {} }));
    const found = await pieces(result);
    whole(found.join(''), await result.usage);
    assert.ok(found.length > 1, 'several pieces');
    assert.equal(await result.finishReason, 'stop', 'the finish reason');
  },
  'tool loop': async (door, model) => {
    const { loop, used } = weather();
    const { text, steps } = await generateText(asking(door(KEY)(model), loop));
    used(text, steps);
  },
  'tool loop, streamed': async (door, model) => {
    const { loop, used } = weather();
    const result = streamText(asking(door(KEY)(model), { ...loop, onError() {} }));
    used((await pieces(result)).join(''), await result.steps);
  },
  'object, by schema': async (door, model) => {
    const schema = z.object({ city: z.string(), degrees: z.number() });
    const { output } = await generateText(asking(door(KEY)(model), { output: Output.object({ schema }) }));
    assert.deepEqual(output, { city: PROMPT, degrees: 1 }, 'the object');
  },
  'unknown model': (door) => refused(door(KEY)(UNKNOWN), 404, `is called \`${UNKNOWN}\``),
  'wrong key': (door, model) => refused(door('sk-nobodys-key')(model), 401),
};

for (const [name, door] of Object.entries(DOORS)) {
  for (const model of MODELS.split(' ')) {
    for (const [check, run] of Object.entries(CHECKS)) {
      let verdict = 'ok', reason = '';
      try {
        await run(door, model);
      } catch (error) {
        verdict = 'FAIL';
        reason = `${error.name}: ${error.message} ${error.responseBody ?? ''}`;
        if (process.env.SDKS_TRACE) console.error(error);
      }
      console.log(['ai', name, model, check, verdict, reason.replace(/\s+/g, ' ').slice(0, 400)].join('\t'));
    }
  }
}
