// Drives the AI SDK with both of its providers against BASE_URL and prints what it made of the answers.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const options = { baseURL: `${process.env.BASE_URL}/v1`, apiKey: process.env.KEY };
const anthropic = createAnthropic(options);
const openai = createOpenAI(options);
const models = {
  anthropic: anthropic("claude-sonnet-4-5"),
  chat: openai.chat("claude-sonnet-4-5"),
  responses: openai.responses("claude-sonnet-4-5"),
};
const weather = (answer) =>
  tool({
    description: "the weather of a place",
    inputSchema: z.object({ place: z.string() }),
    execute: async () => answer,
  });
const told = {};

for (const [name, model] of Object.entries(models)) {
  const streamed = streamText({ model, prompt: "[[events=5]] hello", maxRetries: 0 });
  let joined = "";
  for await (const piece of streamed.textStream) joined += piece;
  const plain = await generateText({ model, prompt: "hello", maxRetries: 0 });
  // Two steps: the call, and the answer to its result (in Responses by item_reference, since `store` is left on).
  const stepped = streamText({
    model,
    prompt: '[[scenario=tools tool=get_weather input={"place":"Bern"}]] how is it?',
    tools: { get_weather: weather(`SUNNY-${name}`) },
    stopWhen: stepCountIs(3),
    maxRetries: 0,
  });
  const steps = await stepped.steps;
  const shaped = await generateText({
    model,
    prompt: '[[text="{\\"answer\\": \\"olleh\\", \\"n\\": 5}"]] go',
    output: Output.object({ schema: z.object({ answer: z.string(), n: z.number() }) }),
    maxRetries: 0,
  });
  told[name] = {
    joined,
    finish: await streamed.finishReason,
    tokens: (await streamed.usage).inputTokens,
    plain: plain.text,
    steps: steps.length,
    results: steps.flatMap((step) => step.toolResults.map((result) => result.output)),
    last: steps.at(-1).text,
    shaped: shaped.output,
  };
}
console.log(JSON.stringify(told));
