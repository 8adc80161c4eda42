"""scripts/smoke_apis.py URL KEY: does a built gateway answer through each API, check a schema and read a PDF?

What is loaded only on need is what a build forgets: the schema library's own data, the document readers.
"""

import base64
import json
import sys
import urllib.error
import urllib.request

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def pdf(text: str) -> bytes:
    """The smallest PDF with one line of text."""
    drawing = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(drawing), drawing),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)


def post(url: str, key: str, body: object) -> dict:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)


def ask_about(root: str, key: str, model: str, document: bytes) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(document).decode()}
    content = [{"type": "document", "source": source}, {"type": "text", "text": "what is this?"}]
    post(
        f"{root}/v1/messages",
        key,
        {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": content}]},
    )


def main(root: str, key: str) -> None:
    model = "claude-sonnet-4.5"
    shaped = post(
        f"{root}/v1/chat/completions",
        key,
        {
            "model": model,
            "messages": [{"role": "user", "content": "count"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA}},
        },
    )
    number = json.loads(shaped["choices"][0]["message"]["content"])["n"]
    print(f"chat: JSON against a schema (n = {number})")

    # A document that cannot be read is refused, so an answer means that it was.
    ask_about(root, key, model, pdf("marmalade in a PDF"))
    try:
        ask_about(root, key, model, b"%PDF-1.4 and nothing more")
    except urllib.error.HTTPError as refused:
        print(f"messages: a PDF was read, a damaged one refused ({refused.code})")
    else:
        sys.exit("a damaged PDF was not refused: are documents read at all?")

    response = post(f"{root}/v1/responses", key, {"model": model, "input": "hello"})
    if response["status"] != "completed":
        sys.exit(f"the response is not complete: {response}")
    print("responses: completed")


main(*sys.argv[1:])
