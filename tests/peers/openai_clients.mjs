// The official JavaScript client, unmodified, against a service that runs: URL [KEY].
import assert from "node:assert";
import OpenAI from "openai";

const [url, key] = [process.argv[2], process.argv[3] || "none"];
const client = new OpenAI({baseURL: url + "/v1", apiKey: key, maxRetries: 0});
const messages = [{role: "user", content: "Something like The Matrix (1999), but no horror please"}];

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert(models.length > 0);
for (const id of models) assert.equal((await client.models.retrieve(id)).id, id);

const whole = await client.chat.completions.create({model: "chat", messages});
const listed = whole.choices[0].message.recommendations;
assert.equal(listed.length, 10);
assert(whole.choices[0].message.content && whole.choices[0].finish_reason === "stop");

let words = "", streamed = null, frames = 0;
for await (const chunk of await client.chat.completions.create({model: "chat", messages, stream: true})) {
  frames++;
  const delta = chunk.choices[0].delta;
  words += delta.content || "";
  streamed = delta.recommendations || streamed;
}
assert(frames > 2 && words);
assert.deepEqual(streamed.map((entry) => entry.item_id), listed.map((entry) => entry.item_id));

// the helper puts a message together from the deltas: ours are in it
const helper = client.chat.completions.stream({model: "chat", messages});
let said = "";
helper.on("content", (text) => { said += text; });
const final = await helper.finalChatCompletion();
assert.equal(final.choices[0].message.content, said);
assert.equal(final.choices[0].message.recommendations.length, 10);

// leaving in the middle
const left = await client.chat.completions.create({model: "chat", messages, stream: true});
for await (const _ of left) break;
left.controller.abort();

const vectors = await client.embeddings.create({model: "chat", input: ["a space opera", "a quiet drama"]});
assert.equal(vectors.data.length, 2);
assert(vectors.data[0].embedding.length > 8);

await assert.rejects(client.chat.completions.create({model: "gpt-4o", messages}), (error) => error.status === 404 && error.code === "model_not_found");
await assert.rejects(client.chat.completions.create({model: "chat", messages: []}), (error) => error.status >= 400 && error.status < 500 && error.message.length > 10);
console.log(`javascript client: all fine, ${frames} frames, said: ${words.trim()}`);
