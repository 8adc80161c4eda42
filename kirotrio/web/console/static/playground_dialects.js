// What the playground says to each API and reads from it. Nothing here touches the page: an answer is told to `tell`,
// which has text(piece), thinking(piece), call(id, name), input(id, piece), usage(numbers), stop(reason), fail(sentence)
// and end().
(() => {
  "use strict";

  const TOOL = {
    name: "get_weather",
    description: "Tells the weather of a city.",
    schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  };
  const SMALLEST_BUDGET = 1024;

  const anthropic = {
    headers: (key) => ({ "x-api-key": key, "anthropic-version": "2023-06-01" }),

    body(asked) {
      const content = [{ type: "text", text: asked.message }];
      if (asked.image) content.unshift({ type: "image", source: { type: "base64", media_type: asked.image.kind, data: asked.image.data } });
      const budget = Math.max(SMALLEST_BUDGET, Math.floor(asked.most / 2));
      return {
        model: asked.model,
        max_tokens: asked.most,
        ...(asked.system && { system: asked.system }),
        messages: [{ role: "user", content }],
        thinking: asked.thinking ? { type: "enabled", budget_tokens: budget } : { type: "disabled" },
        ...(asked.tool && { tools: [{ name: TOOL.name, description: TOOL.description, input_schema: TOOL.schema }] }),
        stream: asked.stream,
      };
    },

    usage: (told) => ({
      input: told.input_tokens,
      cached: told.cache_read_input_tokens,
      output: told.output_tokens,
    }),

    whole(answer, tell) {
      answer.content.forEach((block, index) => {
        if (block.type === "text") tell.text(block.text);
        else if (block.type === "thinking") tell.thinking(block.thinking);
        else if (block.input !== undefined) {
          tell.call(index, block.name);
          tell.input(index, JSON.stringify(block.input, null, 2));
        }
      });
      tell.usage(anthropic.usage(answer.usage));
      tell.stop(answer.stop_reason);
    },

    event(event, tell) {
      const { type, index, delta } = event;
      if (type === "message_start") tell.usage(anthropic.usage(event.message.usage));
      else if (type === "content_block_start") {
        const block = event.content_block;
        if (block.type === "text" && block.text) tell.text(block.text);
        else if (block.input !== undefined) tell.call(index, block.name);
      } else if (type === "content_block_delta") {
        if (delta.type === "text_delta") tell.text(delta.text);
        else if (delta.type === "thinking_delta") tell.thinking(delta.thinking);
        else if (delta.type === "input_json_delta") tell.input(index, delta.partial_json);
      } else if (type === "message_delta") {
        if (event.usage) tell.usage(anthropic.usage(event.usage));
        tell.stop(delta.stop_reason);
      } else if (type === "message_stop") tell.end();
      else if (type === "error") tell.fail(event.error.message);
    },
  };

  const bearer = (key) => ({ authorization: `Bearer ${key}` });

  const chat = {
    headers: bearer,

    body(asked) {
      const content = [{ type: "text", text: asked.message }];
      if (asked.image) content.push({ type: "image_url", image_url: { url: asked.image.url } });
      return {
        model: asked.model,
        max_completion_tokens: asked.most,
        messages: [...(asked.system ? [{ role: "system", content: asked.system }] : []), { role: "user", content }],
        reasoning_effort: asked.thinking ? "medium" : "none",
        ...(asked.tool && { tools: [{ type: "function", function: { name: TOOL.name, description: TOOL.description, parameters: TOOL.schema } }] }),
        stream: asked.stream,
        ...(asked.stream && { stream_options: { include_usage: true } }),
      };
    },

    usage: (told) => ({
      input: told.prompt_tokens,
      cached: told.prompt_tokens_details?.cached_tokens,
      output: told.completion_tokens,
    }),

    said(part, tell) {
      if (part.reasoning_content) tell.thinking(part.reasoning_content);
      if (part.content) tell.text(part.content);
      (part.tool_calls || []).forEach((call, place) => {
        const id = call.index ?? place;
        if (call.function?.name) tell.call(id, call.function.name);
        if (call.function?.arguments) tell.input(id, call.function.arguments);
      });
    },

    whole(answer, tell) {
      chat.said(answer.choices[0].message, tell);
      if (answer.usage) tell.usage(chat.usage(answer.usage));
      tell.stop(answer.choices[0].finish_reason);
    },

    event(event, tell) {
      if (event.error) tell.fail(event.error.message);
      const choice = event.choices?.[0];
      if (choice?.delta) chat.said(choice.delta, tell);
      if (choice?.finish_reason) tell.stop(choice.finish_reason);
      if (event.usage) tell.usage(chat.usage(event.usage));
    },
  };

  const responses = {
    headers: bearer,

    body(asked) {
      const content = [{ type: "input_text", text: asked.message }];
      if (asked.image) content.push({ type: "input_image", image_url: asked.image.url });
      return {
        model: asked.model,
        max_output_tokens: asked.most,
        ...(asked.system && { instructions: asked.system }),
        input: [{ role: "user", content }],
        reasoning: asked.thinking ? { effort: "medium", summary: "auto" } : { effort: "none" },
        ...(asked.tool && { tools: [{ type: "function", name: TOOL.name, description: TOOL.description, parameters: TOOL.schema, strict: false }] }),
        store: false,
        stream: asked.stream,
      };
    },

    usage: (told) => ({
      input: told.input_tokens,
      cached: told.input_tokens_details?.cached_tokens,
      output: told.output_tokens,
    }),

    ended(answer, tell) {
      if (answer.usage) tell.usage(responses.usage(answer.usage));
      tell.stop(answer.incomplete_details?.reason || answer.status);
      if (answer.error) tell.fail(answer.error.message);
    },

    whole(answer, tell) {
      answer.output.forEach((item, index) => {
        if (item.type === "reasoning") for (const part of item.summary) tell.thinking(part.text);
        else if (item.type === "message") for (const part of item.content) tell.text(part.text ?? part.refusal ?? "");
        else if (item.arguments !== undefined) {
          tell.call(index, item.name);
          tell.input(index, item.arguments);
        }
      });
      responses.ended(answer, tell);
    },

    event(event, tell) {
      const { type, output_index: index } = event;
      if (type === "response.output_text.delta" || type === "response.refusal.delta") tell.text(event.delta);
      else if (type === "response.reasoning_summary_text.delta") tell.thinking(event.delta);
      else if (type === "response.output_item.added" && event.item.arguments !== undefined) tell.call(index, event.item.name);
      else if (type === "response.function_call_arguments.delta") tell.input(index, event.delta);
      else if (type === "error") tell.fail(event.message);
      else if (["response.completed", "response.incomplete", "response.failed"].includes(type)) {
        responses.ended(event.response, tell);
        tell.end();
      }
    },
  };

  window.playgroundDialects = { anthropic, chat, responses };
})();
