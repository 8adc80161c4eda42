// Drives @anthropic-ai/sdk against BASE_URL and prints what it made of the answers, as one JSON object.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.env.BASE_URL, apiKey: process.env.KEY, maxRetries: 0 });
const model = "claude-sonnet-4-5";
const weather = {
  name: "get_weather",
  description: "the weather of a place",
  input_schema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
};
const ask = (content, more = {}) => ({ model, max_tokens: 4000, messages: [{ role: "user", content }], ...more });
const told = {};

const pieces = [];
const stream = client.messages.stream(ask("[[events=5]] hello"));
stream.on("text", (piece) => pieces.push(piece));
const streamed = await stream.finalMessage();
told.stream = {
  joined: pieces.join(""),
  text: streamed.content[0].text,
  stop: streamed.stop_reason,
  input: streamed.usage.input_tokens,
};

const plain = await client.messages.create(ask("hello"));
told.plain = { text: plain.content[0].text, stop: plain.stop_reason };

const first = ask("[[scenario=tools tool=get_weather]] how is it?", {
  tools: [weather],
  thinking: { type: "disabled" },
});
const called = await client.messages.create(first);
const call = called.content.find((block) => block.type === "tool_use");
const answered = await client.messages.create({
  ...first,
  messages: [
    ...first.messages,
    { role: "assistant", content: called.content },
    { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "SUNNY-77" }] },
  ],
});
told.tools = { stop: called.stop_reason, input: call.input, text: answered.content[0].text };

const searched = await client.messages.create(
  ask("[[scenario=web-search]] what is new?", { tools: [{ type: "web_search_20250305", name: "web_search" }] }),
);
told.search = {
  kinds: searched.content.map((block) => block.type),
  requests: searched.usage.server_tool_use?.web_search_requests,
};

try {
  await client.messages.create(ask("[[status=USER_REQUEST_RATE_EXCEEDED]] x"));
} catch (error) {
  told.error = { own: error instanceof Anthropic.RateLimitError, status: error.status };
}
console.log(JSON.stringify(told));
