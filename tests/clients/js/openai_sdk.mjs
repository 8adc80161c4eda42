// Drives openai (JavaScript) against BASE_URL and prints what it made of the answers, as one JSON object.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ baseURL: `${process.env.BASE_URL}/v1`, apiKey: process.env.KEY, maxRetries: 0 });
const model = "claude-sonnet-4-5";
const parameters = { type: "object", properties: { place: { type: "string" } }, required: ["place"] };
const told = {};

const pieces = [];
const chat = client.chat.completions.stream({
  model,
  messages: [{ role: "user", content: "[[events=5]] hello" }],
  stream_options: { include_usage: true },
});
chat.on("content", (piece) => pieces.push(piece));
const completion = await chat.finalChatCompletion();
told.chat = {
  joined: pieces.join(""),
  text: completion.choices[0].message.content,
  finish: completion.choices[0].finish_reason,
  tokens: completion.usage.total_tokens,
};

const asked = [{ role: "user", content: "[[scenario=tools tool=get_weather]] how is it?" }];
const tools = [{ type: "function", function: { name: "get_weather", description: "the weather", parameters } }];
const called = (await client.chat.completions.create({ model, messages: asked, tools })).choices[0];
const answered = await client.chat.completions.create({
  model,
  tools,
  messages: [
    ...asked,
    called.message,
    { role: "tool", tool_call_id: called.message.tool_calls[0].id, content: "SUNNY-77" },
  ],
});
told.chat_tools = { finish: called.finish_reason, text: answered.choices[0].message.content };

const Out = z.object({ answer: z.string(), n: z.number().int() });
const parsed = await client.chat.completions.parse({
  model,
  messages: [{ role: "user", content: '[[text="{\\"answer\\": \\"olleh\\", \\"n\\": 5}"]] go' }],
  response_format: zodResponseFormat(Out, "out"),
});
told.parsed = parsed.choices[0].message.parsed;

const kinds = [];
const stream = client.responses.stream({
  model,
  input: "[[scenario=thinking]] hello",
  reasoning: { effort: "low", summary: "auto" },
});
for await (const event of stream) kinds.push(event.type);
const response = await stream.finalResponse();
told.responses = {
  first: kinds[0],
  last: kinds.at(-1),
  items: response.output.map((item) => item.type),
  text: response.output_text,
};

const flat = [{ type: "function", name: "get_weather", description: "the weather", parameters, strict: false }];
const before = await client.responses.create({ model, input: asked[0].content, tools: flat });
const wanted = before.output.find((item) => item.type === "function_call");
const after = await client.responses.create({
  model,
  previous_response_id: before.id,
  tools: flat,
  input: [{ type: "function_call_output", call_id: wanted.call_id, output: "RAINY-88" }],
});
told.continued = { status: after.status, text: after.output_text };

try {
  await client.responses.create({ model, input: "[[status=MONTHLY_REQUEST_COUNT]] x" });
} catch (error) {
  told.error = { own: error instanceof OpenAI.RateLimitError, code: error.code };
}
console.log(JSON.stringify(told));
