"""The official Python client, unmodified, against a service that runs: URL [KEY]."""
import sys

import openai

url, key = sys.argv[1], (sys.argv[2:] + ["none"])[0]
client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
ASK = [{"role": "user", "content": "Something like The Matrix (1999), but no horror please"}]


def fails(status, code, **request):
    try:
        client.chat.completions.create(**{"model": "chat", "messages": ASK, **request})
    except openai.APIStatusError as error:
        assert error.status_code in status, (request, error.status_code, str(error))
        assert error.body and error.body.get("message"), error.body
        assert code is None or error.code == code, (request, error.code, str(error))
        print("   ", error.status_code, error.code, "-", error.body["message"])
        return
    raise AssertionError(f"no error for {request}")


models = client.models.list().data
assert models, "no model"
for model in models:
    assert client.models.retrieve(model.id).id == model.id
print("models:", ", ".join(model.id for model in models))

whole = client.chat.completions.create(model="chat", messages=ASK)
choice = whole.choices[0]
listed = choice.message.recommendations
assert choice.finish_reason == "stop" and choice.message.role == "assistant" and choice.message.content
assert len(listed) == 10 and len({entry["item_id"] for entry in listed}) == 10
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
print("whole:", choice.message.content)

words, streamed, usage, finish = "", None, None, None
for chunk in client.chat.completions.create(model="chat", messages=ASK, stream=True, stream_options={"include_usage": True}):
    if chunk.usage:
        usage = chunk.usage
    for part in chunk.choices:
        words += part.delta.content or ""
        streamed = getattr(part.delta, "recommendations", None) or streamed
        finish = part.finish_reason or finish
assert finish == "stop" and words and usage and len(streamed) == 10
assert [entry["item_id"] for entry in streamed] == [entry["item_id"] for entry in listed], "a stream answers otherwise"
print("stream:", words)

with client.chat.completions.stream(model="chat", messages=ASK) as stream:
    kinds = {event.type for event in stream}
    final = stream.get_final_completion()
assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
assert final.choices[0].message.content
print("helper stream: events", ", ".join(sorted(kinds)))

# a client that resends text alone: what was shown is not shown again
again = client.chat.completions.create(model="chat", messages=ASK + [
    {"role": "assistant", "content": choice.message.content},
    {"role": "user", "content": "and what else?"}])
shown = {entry["item_id"] for entry in listed}
assert not shown & {entry["item_id"] for entry in again.choices[0].message.recommendations}
print("asked again: nothing twice")

one = client.embeddings.create(model="chat", input="a space opera with robots")  # base64 inside
many = client.embeddings.create(model="chat", input=["a space opera", "a quiet drama"], encoding_format="float")
assert len(one.data[0].embedding) == len(many.data[0].embedding) and len(many.data) == 2
assert [entry.index for entry in many.data] == [0, 1]
print("embeddings:", len(one.data[0].embedding), "dimensions")

print("errors:")
fails({404}, "model_not_found", model="gpt-4o")
fails({400, 422}, None, messages=[])
fails({400, 422}, None, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}])
fails({400, 422}, None, messages=[{"role": "wizard", "content": "hello"}])
fails({400, 422}, None, n=2)
try:
    client.models.retrieve("nothing-like-it")
    raise AssertionError("no error for an unknown model")
except openai.NotFoundError as error:
    print("   ", error.status_code, error.code)
print("python client: all fine, openai", openai.__version__)
