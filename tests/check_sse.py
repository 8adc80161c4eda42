#!/usr/bin/env python3
# ruff: noqa
# fmt: off
# A validator of its own making, dense on purpose; it shares no code and no habit with the encoders that it judges.
"""check_sse.py anthropic|chat|responses [--beta] [--lenient] < raw.sse     exit 0: valid; 1: invalid (messages on stdout)
Strict validator of a raw SSE body. Event payloads are validated with the official SDKs' pydantic models
(anthropic.types, openai.types) if these can be imported, and with
the order rules below always. Also: from check_sse import check ; check(kind, raw_bytes) -> list of problems.
  --early-ping      accept pings before message_start (buffered mode: nothing else can be sent yet)
  --terminal-error  accept a stream that ends in an error event (anthropic 'error', responses 'error'/'response.failed', chat {"error":..})
"""
import json, sys, re
SDK = {}       # dialect -> whether its SDK could be imported
JS = {}        # dialect -> validator of its JSON body
try:
    import typing
    from pydantic import TypeAdapter, ValidationError
    def adapter(t):
        # the SDKs' unions carry their own discriminator marker: plain pydantic treats it as an annotation, so add one it knows
        args = typing.get_args(t)
        u = args[0] if typing.get_origin(t) is typing.Annotated else t
        return {lit: TypeAdapter(m) for m in typing.get_args(u) for lit in typing.get_args(m.model_fields["type"].annotation)}
except ImportError as e:
    sys.stderr.write("note: pydantic not importable (%s): order rules only\n" % e)
try:
    from anthropic.types import RawMessageStreamEvent
    from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
    A, AB = adapter(RawMessageStreamEvent), adapter(BetaRawMessageStreamEvent)
    JS["anthropic"] = TypeAdapter(BetaMessage)
    SDK["anthropic"] = True
except ImportError as e:
    sys.stderr.write("note: anthropic not importable (%s): order rules only\n" % e)
try:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.responses import Response, ResponseStreamEvent
    RS, CH = adapter(ResponseStreamEvent), TypeAdapter(ChatCompletionChunk)
    JS["chat"], JS["responses"] = TypeAdapter(ChatCompletion), TypeAdapter(Response)
    SDK["chat"] = SDK["responses"] = True
except ImportError:
    pass  # each dialect is checked with what is installed

def sse(raw, bad):
    """-> list of (event name or None, data string). Strict framing."""
    if not raw: bad("empty body"); return []
    try: s = raw.decode("utf-8")
    except UnicodeDecodeError as e: bad("not UTF-8: %s" % e); return []
    s = s.replace("\r\n", "\n").replace("\r", "\n")
    if not s.endswith("\n\n"): bad("body does not end with a blank line: the last event is cut")
    out, name, data = [], None, []
    for ln in s.split("\n"):
        if ln == "":
            if data: out.append((name, "\n".join(data)))
            elif name is not None: bad("event %r without data" % name)
            name, data = None, []
        elif ln.startswith(":"): pass
        elif ln.startswith("data:"): data.append(ln[5:].removeprefix(" "))
        elif ln.startswith("event:"): name = ln[6:].strip()
        elif ln.startswith(("id:", "retry:")): pass
        else: bad("stray line %r" % ln[:120])
    return out

def model(ad, obj, where, bad):
    try: ad.validate_python(obj)
    except ValidationError as e:
        for x in e.errors()[:4]: bad("%s: schema: %s: %s (got %r)" % (where, ".".join(map(str, x["loc"])), x["msg"], str(x.get("input"))[:80]))

DELTAS = {"text": {"text_delta", "citations_delta"}, "thinking": {"thinking_delta", "signature_delta"}, "redacted_thinking": set(),
          "tool_use": {"input_json_delta"}, "server_tool_use": {"input_json_delta"}, "mcp_tool_use": {"input_json_delta"}, "compaction": {"compaction_delta"}}
STOPS = {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded", "compaction"}

def check_anthropic(raw, beta=True, terminal_error=False, early_ping=False, **_):
    P = []; bad = P.append
    ev = sse(raw, bad); n = len(ev)
    state, blocks, cur, seen_delta, stop, ids = "begin", [], None, False, None, set()
    start_usage = {}
    for k, (name, data) in enumerate(ev):
        w = "event %d (%s)" % (k, name)
        try: o = json.loads(data)
        except ValueError: bad("%s: data is not JSON: %r" % (w, data[:100])); continue
        t = o.get("type") if isinstance(o, dict) else None
        if not t: bad("%s: no type" % w); continue
        if name != t: bad("%s: event name differs from data.type %r" % (w, t))
        if state == "done": bad("%s: after message_stop" % w)
        if t == "ping":
            if state == "begin" and not early_ping: bad("%s: ping before message_start" % w)
            continue
        if t == "error":
            e = o.get("error")
            if not isinstance(e, dict) or not isinstance(e.get("type"), str) or not isinstance(e.get("message"), str): bad("%s: error event without error.type/message" % w)
            if k != n - 1: bad("%s: events after error" % w)
            if not terminal_error: bad("%s: error event: %s" % (w, data[:200]))
            state = "error"; continue
        if SDK.get("anthropic"):
            ad = (AB if beta else A).get(t)
            if ad is None: bad("%s: unknown event type" % w); continue
            model(ad, o, w, bad)
        if t == "message_start":
            if state != "begin": bad("%s: second message_start" % w)
            state = "open"; m = o.get("message") or {}
            if not str(m.get("id", "")).startswith("msg_"): bad("%s: message.id %r does not begin with msg_" % (w, m.get("id")))
            if m.get("content") != []: bad("%s: message.content must be []" % w)
            if "stop_reason" not in m or m["stop_reason"] is not None: bad("%s: message.stop_reason must be null" % w)
            if "stop_sequence" not in m or m["stop_sequence"] is not None: bad("%s: message.stop_sequence must be null" % w)
            if m.get("role") != "assistant" or m.get("type") != "message": bad("%s: role/type" % w)
            if not m.get("model"): bad("%s: no model" % w)
            start_usage = m.get("usage") or {}
            for f in ("input_tokens", "output_tokens"):
                v = start_usage.get(f)
                if not isinstance(v, int) or isinstance(v, bool) or v < 0: bad("%s: usage.%s=%r" % (w, f, v))
            continue
        if state == "begin": bad("%s: before message_start" % w); state = "open"
        if t == "content_block_start":
            if cur is not None: bad("%s: block %d still open" % (w, cur["i"]))
            if seen_delta: bad("%s: after message_delta" % w)
            if o.get("index") != len(blocks): bad("%s: index %r, expected %d" % (w, o.get("index"), len(blocks)))
            b = o.get("content_block") or {}; ty = b.get("type")
            cur = {"i": o.get("index"), "type": ty, "json": "", "text": "", "sig": bool(b.get("signature")), "nd": 0, "b": b}; blocks.append(cur)
            if ty == "text" and b.get("text") not in ("",): bad("%s: text block should start with text ''" % w)
            if ty == "thinking" and (b.get("thinking") != "" or b.get("signature") != ""): bad("%s: thinking block should start with thinking '' and signature ''" % w)
            if ty in ("tool_use", "server_tool_use"):
                if b.get("input") != {}: bad("%s: %s should start with input {}" % (w, ty))
                if not b.get("name"): bad("%s: no tool name" % w)
                if b.get("id") in ids: bad("%s: duplicate tool id" % w)
                ids.add(b.get("id"))
                if ty == "tool_use" and not re.fullmatch(r"[a-zA-Z0-9_-]+", str(b.get("id"))): bad("%s: tool id %r" % (w, b.get("id")))
        elif t == "content_block_delta":
            d = o.get("delta") or {}
            if cur is None: bad("%s: no open block" % w); continue
            if o.get("index") != cur["i"]: bad("%s: index %r but block %r is open" % (w, o.get("index"), cur["i"]))
            dt = d.get("type"); cur["nd"] += 1
            if dt not in DELTAS.get(cur["type"], set()): bad("%s: %s in a %s block" % (w, dt, cur["type"]))
            if dt == "input_json_delta": cur["json"] += d.get("partial_json") or ""
            if dt == "thinking_delta":
                if cur["sig"]: bad("%s: thinking_delta after signature_delta" % w)
                cur["text"] += d.get("thinking") or ""
            if dt == "signature_delta":
                if not d.get("signature"): bad("%s: empty signature" % w)
                cur["sig"] = True
            if dt == "text_delta":
                cur["text"] += d.get("text") or ""
                if d.get("text") == "": bad("%s: empty text_delta" % w)
        elif t == "content_block_stop":
            if cur is None: bad("%s: no open block" % w); continue
            if o.get("index") != cur["i"]: bad("%s: index %r but block %r is open" % (w, o.get("index"), cur["i"]))
            if cur["type"] in ("tool_use", "server_tool_use"):
                try:
                    v = json.loads(cur["json"]) if cur["json"] else {}
                    if not isinstance(v, dict): bad("%s: tool input is not an object: %r" % (w, cur["json"][:80]))
                except ValueError: bad("%s: input_json_delta parts do not join to JSON: %r" % (w, cur["json"][:120]))
            if cur["type"] == "text" and not cur["text"]: bad("%s: empty text block" % w)
            cur = None
        elif t == "message_delta":
            if cur is not None: bad("%s: block %r still open" % (w, cur["i"]))
            if seen_delta and stop: bad("%s: second message_delta with the stop reason known" % w)
            seen_delta = True; stop = (o.get("delta") or {}).get("stop_reason") or stop
            if "stop_sequence" not in (o.get("delta") or {}): bad("%s: delta.stop_sequence missing (null expected)" % w)
            u = o.get("usage") or {}
            if not isinstance(u.get("output_tokens"), int): bad("%s: usage.output_tokens missing" % w)
            for f in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
                if f in u and (not isinstance(u[f], int) or u[f] < 0): bad("%s: usage.%s=%r" % (w, f, u[f]))
        elif t == "message_stop":
            if cur is not None: bad("%s: block %r still open" % (w, cur["i"]))
            if not seen_delta: bad("%s: no message_delta before" % w)
            state = "done"
    if state == "error": return P
    if state != "done": bad("stream ends without message_stop (state %s)" % state)
    if not seen_delta: bad("no message_delta")
    elif stop not in STOPS: bad("stop_reason %r" % stop)
    has = any(b["type"] == "tool_use" for b in blocks)
    if stop == "tool_use" and not has: bad("stop_reason tool_use without a tool_use block")
    if has and stop in ("end_turn", "stop_sequence"): bad("tool_use block but stop_reason %s" % stop)
    return P

def check_chat(raw, usage=None, terminal_error=False, **_):
    """usage: True = asked for (include_usage): needed; False = must be absent; None = either"""
    P = []; bad = P.append
    ev = sse(raw, bad); ids, created, models, fin, role, done, us, calls = set(), set(), set(), {}, set(), False, None, {}
    for k, (name, data) in enumerate(ev):
        w = "chunk %d" % k
        if name not in (None, "message"): bad("%s: event name %r (none expected)" % (w, name))
        if done: bad("%s: after [DONE]" % w)
        if data == "[DONE]": done = True; continue
        try: o = json.loads(data)
        except ValueError: bad("%s: not JSON: %r" % (w, data[:100])); continue
        if "error" in o:
            e = o["error"]
            if not isinstance(e, dict) or not e.get("message"): bad("%s: error without message" % w)
            if not terminal_error: bad("%s: error: %s" % (w, data[:200]))
            else: return P
            continue
        if SDK.get("chat"): model(CH, o, w, bad)
        ids.add(o.get("id")); created.add(o.get("created")); models.add(o.get("model"))
        if o.get("object") != "chat.completion.chunk": bad("%s: object" % w)
        if not isinstance(o.get("created"), int): bad("%s: created must be an int" % w)
        if us is not None: bad("%s: after the usage chunk" % w)
        ch = o.get("choices")
        if ch == []:
            if not isinstance(o.get("usage"), dict): bad("%s: no choices and no usage" % w)
        if isinstance(o.get("usage"), dict):
            us = o["usage"]
            if ch != []: bad("%s: usage must come in a chunk of its own with choices []" % w)
            if us.get("total_tokens") != us.get("prompt_tokens", 0) + us.get("completion_tokens", 0): bad("%s: total_tokens is not the sum" % w)
        for c in ch or []:
            i, d = c.get("index"), c.get("delta")
            if not isinstance(i, int): bad("%s: choice index" % w)
            if not isinstance(d, dict): bad("%s: no delta" % w); continue
            if i in fin: bad("%s: choice %s after its finish_reason" % (w, i))
            if i not in role:
                if d.get("role") != "assistant": bad("%s: first delta of choice %s lacks role assistant" % (w, i))
                role.add(i)
            elif "role" in d and d["role"] not in (None, "assistant"): bad("%s: role %r" % (w, d["role"]))
            if "finish_reason" not in c: bad("%s: finish_reason key missing (null expected)" % w)
            for tc in d.get("tool_calls") or []:
                ti = tc.get("index")
                if not isinstance(ti, int): bad("%s: tool_calls[].index" % w); continue
                key = (i, ti); f = tc.get("function") or {}
                if key not in calls:
                    if ti != sum(1 for a in calls if a[0] == i): bad("%s: tool call index %d out of order" % (w, ti))
                    if not tc.get("id") or not f.get("name") or tc.get("type") != "function": bad("%s: first piece of tool call %d needs id, type, function.name" % (w, ti))
                    calls[key] = {"id": tc.get("id"), "args": ""}
                elif tc.get("id") not in (None, calls[key]["id"]): bad("%s: tool call %d changes its id" % (w, ti))
                calls[key]["args"] += f.get("arguments") or ""
            if c.get("finish_reason"): fin[i] = c["finish_reason"]
    if not done: bad("no [DONE]")
    if len(ids) != 1 or not next(iter(ids), None): bad("id not one non-empty value: %r" % list(ids)[:3])
    if len(created) > 1: bad("created changes within the stream")
    if len(models) != 1 or not next(iter(models), None): bad("model not one non-empty value")
    for i in role:
        if i not in fin: bad("choice %s has no finish_reason" % i)
    for (i, ti), c in calls.items():
        try: json.loads(c["args"] or "{}")
        except ValueError: bad("tool call %d: arguments are not JSON: %r" % (ti, c["args"][:120]))
        if fin.get(i) not in ("tool_calls", "length", "content_filter"): bad("tool calls but finish_reason %r" % fin.get(i))
    for i, f in fin.items():
        if f == "tool_calls" and not any(a[0] == i for a in calls): bad("finish_reason tool_calls without tool calls")
    if len({c["id"] for c in calls.values()}) != len(calls): bad("tool call ids not unique")
    if usage is True and us is None: bad("no usage chunk though include_usage was asked")
    if usage is False and us is not None: bad("usage chunk though include_usage was not asked")
    return P

def check_responses(raw, terminal_error=False, **_):
    P = []; bad = P.append
    ev = sse(raw, bad); seq = -1; items, final, rid, phase = {}, None, None, "begin"
    TERMINAL = {"response.completed", "response.failed", "response.incomplete", "error"}
    for k, (name, data) in enumerate(ev):
        w = "event %d (%s)" % (k, name)
        if data == "[DONE]":
            bad("%s: [DONE] does not belong to the Responses API" % w); continue
        try: o = json.loads(data)
        except ValueError: bad("%s: not JSON" % w); continue
        t = o.get("type")
        if name != t: bad("%s: event name differs from data.type %r" % (w, t))
        s = o.get("sequence_number")
        if not isinstance(s, int): bad("%s: no sequence_number" % w)
        else:
            if s != seq + 1: bad("%s: sequence_number %d after %d" % (w, s, seq))
            seq = s
        if final: bad("%s: after %s" % (w, final))
        if t == "keepalive" or t == "ping": continue
        if SDK.get("responses"):
            ad = RS.get(t)
            if ad is None: bad("%s: unknown event type" % w); continue
            model(ad, o, w, bad)
        if t in TERMINAL: final = t
        if t == "error":
            if not terminal_error: bad("%s: error: %s" % (w, data[:200]))
            continue
        if t in ("response.created", "response.in_progress", "response.queued") or t in TERMINAL:
            r = o.get("response") or {}
            if rid is None: rid = r.get("id")
            if r.get("id") != rid: bad("%s: response.id changes" % w)
            if not str(r.get("id", "")).startswith("resp_"): bad("%s: response.id %r does not begin with resp_" % (w, r.get("id")))
            want = {"response.created": ("in_progress", "queued"), "response.in_progress": ("in_progress",), "response.queued": ("queued",), "response.completed": ("completed",), "response.failed": ("failed",), "response.incomplete": ("incomplete",)}[t]
            if r.get("status") not in want: bad("%s: response.status %r" % (w, r.get("status")))
        if phase == "begin":
            if t != "response.created": bad("%s: first event must be response.created" % w)
            phase = "open"; continue
        if t == "response.created": bad("%s: second response.created" % w)
        if t == "response.output_item.added":
            i = o.get("output_index"); it = o.get("item") or {}
            if i != len(items): bad("%s: output_index %r, expected %d" % (w, i, len(items)))
            items[i] = {"id": it.get("id"), "type": it.get("type"), "open": True, "parts": {}, "args": "", "argsdone": None, "item": None}
            if it.get("type") in ("message", "function_call", "custom_tool_call") and it.get("status") != "in_progress": bad("%s: item.status %r, expected in_progress" % (w, it.get("status")))
            continue
        if "output_index" in o and t.startswith("response.") and t not in TERMINAL:
            x = items.get(o["output_index"])
            if x is None: bad("%s: output_index %r was never added" % (w, o["output_index"])); continue
            if not x["open"]: bad("%s: item %r is already done" % (w, o["output_index"]))
            if t == "response.output_item.done":
                it = o.get("item") or {}; x["open"] = False; x["item"] = it
                if it.get("id") != x["id"] or it.get("type") != x["type"]: bad("%s: item id/type differ from added" % w)
                for pk, p in x["parts"].items():
                    if p["open"]: bad("%s: part %r still open" % (w, pk))
                if x["type"] == "message":
                    tx = [c.get("text", c.get("refusal")) for c in it.get("content") or []]
                    if tx != [p["text"] for (kind, _), p in x["parts"].items() if kind == "c"]: bad("%s: item text differs from the deltas" % w)
                if x["type"] == "function_call":
                    if it.get("arguments") != x["args"]: bad("%s: arguments differ from the deltas" % w)
                    if x["argsdone"] is None: bad("%s: no function_call_arguments.done" % w)
                    try: json.loads(it.get("arguments") or "")
                    except ValueError: bad("%s: arguments not JSON: %r" % (w, (it.get("arguments") or "")[:100]))
                    if not it.get("call_id") or not it.get("name"): bad("%s: call_id/name" % w)
                if x["type"] == "custom_tool_call" and it.get("input") != x["args"]: bad("%s: input differs from the deltas" % w)
                continue
            if "item_id" in o and o["item_id"] != x["id"]: bad("%s: item_id %r is not %r" % (w, o["item_id"], x["id"]))
            key = ("c", o["content_index"]) if "content_index" in o else ("s", o["summary_index"]) if "summary_index" in o else None
            if t in ("response.content_part.added", "response.reasoning_summary_part.added"):
                if key in x["parts"]: bad("%s: part added twice" % w)
                if key[1] != sum(1 for a in x["parts"] if a[0] == key[0]): bad("%s: part index %d out of order" % (w, key[1]))
                x["parts"][key] = {"open": True, "text": "", "done": False}; continue
            if key is not None:
                p = x["parts"].get(key)
                if p is None: bad("%s: part %r was never added" % (w, key)); continue
                if not p["open"]: bad("%s: part %r is done" % (w, key))
                if t.endswith(".delta"): p["text"] += o.get("delta") or ""
                elif t in ("response.content_part.done", "response.reasoning_summary_part.done"):
                    if not p["done"]: bad("%s: no text.done before" % w)
                    p["open"] = False
                    if (o.get("part") or {}).get("text", p["text"]) != p["text"]: bad("%s: part text differs from the deltas" % w)
                elif t.endswith("text.done") or t.endswith("refusal.done"):
                    p["done"] = True
                    if o.get("text", o.get("refusal")) != p["text"]: bad("%s: text differs from the deltas" % w)
                continue
            if t in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"): x["args"] += o.get("delta") or ""
            elif t in ("response.function_call_arguments.done", "response.custom_tool_call_input.done"):
                x["argsdone"] = o.get("arguments", o.get("input"))
                if x["argsdone"] != x["args"]: bad("%s: arguments differ from the deltas" % w)
        if t in ("response.completed", "response.incomplete"):
            r = o.get("response") or {}
            for i, x in items.items():
                if x["open"]: bad("%s: item %d was never done" % (w, i))
            if [x["item"] for x in items.values()] != r.get("output"): bad("%s: response.output differs from the items streamed" % w)
            if not isinstance(r.get("usage"), dict): bad("%s: no usage" % w)
            elif r["usage"].get("total_tokens") != r["usage"].get("input_tokens", 0) + r["usage"].get("output_tokens", 0): bad("%s: total_tokens is not the sum" % w)
    if final is None: bad("no terminal event (response.completed)")
    elif final != "response.completed" and not (terminal_error or final == "response.incomplete"): bad("stream ended with %s" % final)
    return P

def check(kind, raw, **kw): return {"anthropic": check_anthropic, "chat": check_chat, "responses": check_responses}[kind](raw, **kw)

def check_json(kind, o):
    """The same for an answer that is not streamed -> list of problems"""
    P = []; bad = P.append
    if not isinstance(o, dict): bad("not an object"); return P
    if SDK.get(kind): model(JS[kind], o, "body", bad)
    if kind == "anthropic":
        if not str(o.get("id", "")).startswith("msg_"): bad("id %r does not begin with msg_" % o.get("id"))
        if o.get("type") != "message" or o.get("role") != "assistant": bad("type/role")
        if "stop_sequence" not in o: bad("stop_sequence missing (null expected)")
        if o.get("stop_reason") not in STOPS: bad("stop_reason %r" % o.get("stop_reason"))
        has = False
        for i, b in enumerate(o.get("content") or []):
            if b.get("type") == "tool_use":
                has = True
                if not isinstance(b.get("input"), dict): bad("content[%d].input is not an object" % i)
            if b.get("type") == "text" and not b.get("text"): bad("content[%d]: empty text" % i)
            if b.get("type") == "thinking" and "signature" not in b: bad("content[%d]: thinking without the signature key ('' where the upstream gave none)" % i)
        if has and o.get("stop_reason") in ("end_turn", "stop_sequence"): bad("tool_use block but stop_reason %s" % o.get("stop_reason"))
        u = o.get("usage") or {}
        for f in ("input_tokens", "output_tokens"):
            if not isinstance(u.get(f), int) or u[f] < 0: bad("usage.%s=%r" % (f, u.get(f)))
    elif kind == "chat":
        if o.get("object") != "chat.completion": bad("object %r" % o.get("object"))
        if not isinstance(o.get("created"), int): bad("created must be an int")
        for c in o.get("choices") or []:
            m = c.get("message") or {}
            if m.get("role") != "assistant": bad("message.role")
            if "content" not in m: bad("message.content missing (null allowed)")
            for t in m.get("tool_calls") or []:
                try: json.loads((t.get("function") or {}).get("arguments"))
                except (ValueError, TypeError): bad("tool call arguments are not JSON")
            if m.get("tool_calls") and c.get("finish_reason") not in ("tool_calls", "length"): bad("tool calls but finish_reason %r" % c.get("finish_reason"))
        u = o.get("usage") or {}
        if u.get("total_tokens") != u.get("prompt_tokens", 0) + u.get("completion_tokens", 0) or not u: bad("usage: total_tokens is not the sum")
    else:
        if o.get("object") != "response": bad("object %r" % o.get("object"))
        if not str(o.get("id", "")).startswith("resp_"): bad("id %r does not begin with resp_" % o.get("id"))
        if o.get("status") not in ("completed", "incomplete", "failed"): bad("status %r" % o.get("status"))
        u = o.get("usage") or {}
        if u.get("total_tokens") != u.get("input_tokens", 0) + u.get("output_tokens", 0) or not u: bad("usage: total_tokens is not the sum")
    return P

if __name__ == "__main__":
    a = sys.argv[1:]
    if not a or a[0] not in ("anthropic", "chat", "responses"): sys.exit(__doc__)
    kw = {"terminal_error": "--terminal-error" in a, "early_ping": "--early-ping" in a}
    if "--no-beta" in a: kw["beta"] = False
    if "--usage" in a: kw["usage"] = True
    if "--no-usage" in a: kw["usage"] = False
    P = check(a[0], sys.stdin.buffer.read(), **kw)
    try:
        for p in P: print(p)
        print("OK" if not P else "INVALID: %d problem(s)" % len(P))
    except BrokenPipeError: pass
    sys.exit(1 if P else 0)
