// Runs one scenario of openai-node against a gateway and prints what came of it, as one JSON line.
//
//   node gateway.mjs BASE_URL SCENARIO [KEY] [ARGUMENTS AS JSON]
//
// files      upload, list, retrieve, content, delete, and what a deleted file answers
// uploads    two parts sent at once and completed in order; another one cancelled
// batches    upload, create, retrieve, list, cancel twice
// pages      ARGUMENTS.files uploads, then the list two at a time
// webhooks   ARGUMENTS' event unwrapped, with its secret and with another; every method of endpoints
// errors     what the SDK makes of 400, 401, 404
// single     single requests with ARGUMENTS.model: whole, streamed, tools, Responses, embeddings, errors
// run        ARGUMENTS.lines as a batch to its end: the batch, its output and error lines
import * as sdk from "openai";

// The SDK of spring 2024 has no AzureOpenAI.
const { default: OpenAI, AzureOpenAI, toFile } = sdk;

const [, , baseURL, scenario, apiKey = "secret-a", given = "{}"] = process.argv;
const options = JSON.parse(given);
const client = new OpenAI({ apiKey, baseURL, organization: null, project: null });

const LINE = { custom_id: "1", method: "POST", url: "/v1/embeddings", body: { model: "m", input: "a" } };

const upload = async (lines = [LINE], filename = "größe \"1\".jsonl") =>
  client.files.create({
    file: await toFile(Buffer.from(lines.map((line) => JSON.stringify(line) + "\n").join("")), filename),
    purpose: "batch",
    expires_after: { anchor: "created_at", seconds: 3600 },
  });

// Node's SDK of spring 2024 calls it del.
const remove = (id) => (client.files.delete ?? client.files.del).call(client.files, id);

const failure = async (promise) => {
  try {
    await promise;
    return null;
  } catch (error) {
    const { status, code, param, type, message, requestID } = error;
    return { name: error.constructor.name, status, code, param, type, message, requestID };
  }
};

const collect = async (pages) => {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
};

const lines = async (fileId) =>
  fileId === null
    ? []
    : (await (await client.files.content(fileId)).text()).trimEnd().split("\n").map((line) => JSON.parse(line));

const scenarios = {
  async files() {
    const made = await upload();
    const listed = await collect(client.files.list({ purpose: "batch" }));
    const retrieved = await client.files.retrieve(made.id);
    const response = await client.files.content(made.id);
    const content = await response.text();
    const deleted = await remove(made.id);
    const gone = await failure(client.files.retrieve(made.id));
    return { made, listed, retrieved, content, length: response.headers.get("content-length"), deleted, gone };
  },

  async uploads() {
    const text = "a".repeat(100) + "b".repeat(50);
    const begin = () =>
      client.uploads.create({ bytes: text.length, filename: "ü.txt", mime_type: "text/plain", purpose: "user_data" });
    const upload = await begin();
    const send = async (data) =>
      client.uploads.parts.create(upload.id, { data: await toFile(Buffer.from(data), "part") });
    const [second, first] = await Promise.all([send(text.slice(100)), send(text.slice(0, 100))]);
    const done = await client.uploads.complete(upload.id, { part_ids: [first.id, second.id] });
    const content = await (await client.files.content(done.file.id)).text();
    const cancelled = await client.uploads.cancel((await begin()).id);
    const again = await failure(client.uploads.complete(upload.id, { part_ids: [first.id, second.id] }));
    return { text, upload, first, done, content, cancelled, again };
  },

  async batches() {
    const file = await upload();
    const created = await client.batches.create({
      input_file_id: file.id,
      endpoint: options.endpoint ?? "/v1/embeddings",
      completion_window: "24h",
      metadata: { a: "b" },
    });
    const retrieved = await client.batches.retrieve(created.id);
    const listed = await collect(client.batches.list({ limit: 1 }));
    const inUse = await failure(remove(file.id));
    const cancelled = await client.batches.cancel(created.id);
    const again = await client.batches.cancel(created.id);
    return { created, retrieved, listed, inUse, cancelled, again };
  },

  async webhooks() {
    const { body, headers, secret } = options;
    const event = await client.webhooks.unwrap(body, headers, secret);
    const wrong = await failure(client.webhooks.unwrap(body, headers, "whsec_AAAA"));
    const types = (await client.webhooks.eventTypes.list()).data;
    const made = await client.webhooks.create({
      name: "node", url: "https://example.com/hook", event_types: ["batch.expired"],
    });
    const listed = (await collect(client.webhooks.list({ limit: 2 }))).map((endpoint) => endpoint.id);
    const updated = (await client.webhooks.update(made.id, { name: "other" })).name;
    const rotated = (await client.webhooks.rotateSecret(made.id)).signing_secret;
    const deleted = (await client.webhooks.delete(made.id)).deleted;
    return { event, wrong, types, made, listed, updated, rotated, deleted };
  },

  async pages() {
    const made = [];
    for (let n = 0; n < options.files; n += 1) made.push((await upload()).id);
    const listed = (await collect(client.files.list({ limit: 2 }))).map((file) => file.id);
    return { made, listed };
  },

  async errors() {
    const stranger = new OpenAI({ apiKey: "wrong", baseURL, organization: null, project: null });
    return {
      unknown: await failure(client.batches.retrieve("batch_none")),
      endpoint: await failure(
        client.batches.create({ input_file_id: "x", endpoint: "/v1/none", completion_window: "24h" }),
      ),
      stranger: await failure(stranger.files.list()),
    };
  },

  async single() {
    const { model, azureURL } = options;
    const messages = [{ role: "user", content: "hello there" }];
    const tools = [
      { type: "function", function: { name: "f", parameters: { type: "object", properties: { x: { type: "string" } } } } },
    ];
    const whole = await client.chat.completions.create({ model, messages });
    const helper = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
    const streamed = await helper.finalChatCompletion();
    const called = await client.chat.completions
      .stream({ model, messages, tools, tool_choice: "required" })
      .finalChatCompletion();
    const schema = {
      type: "object",
      properties: { x: { type: "integer" } },
      required: ["x"],
      additionalProperties: false,
    };
    const format = { type: "json_schema", json_schema: { name: "point", strict: true, schema } };
    // As zodResponseFormat makes one, without zod; old versions of the SDK have it not.
    const { makeParseableResponseFormat } = await import("openai/lib/parser");
    const structured = await client.chat.completions
      .stream({ model, messages, response_format: makeParseableResponseFormat(format, JSON.parse) })
      .finalChatCompletion();
    const types = [];
    const events = client.responses.stream({ model, input: "hello there" });
    for await (const event of events) types.push(event.type);
    const response = await events.finalResponse();
    const vectors = await client.embeddings.create({ model: "gemini-embedding-001", input: ["a", "b"], dimensions: 8 });
    const azure = new AzureOpenAI({ endpoint: azureURL, apiKey, apiVersion: "2025-01-01", deployment: model });
    const deployed = await azure.chat.completions.create({ messages });
    const unknown = await failure(client.chat.completions.create({ model: "gemini-none", messages, stream: true }));
    return { whole, streamed, called, structured, types, response, vectors, deployed, unknown };
  },

  async background() {
    const ask = (input, of) => of.responses.create({ model: options.model, input, background: true });
    const asked = await ask("hello there", client);
    let done = asked;
    while (["queued", "in_progress"].includes(done.status)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      done = await client.responses.retrieve(asked.id);
    }
    const items = await collect(client.responses.inputItems.list(asked.id));
    const waiting = client.withOptions({ baseURL: options.waiting });
    const other = await ask("never mind", waiting);
    const cancelled = await waiting.responses.cancel(other.id);
    await client.responses.delete(asked.id);
    const gone = await failure(client.responses.retrieve(asked.id));
    return { asked, done, items, cancelled, gone };
  },

  async run() {
    const file = await upload(options.lines);
    let batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: options.endpoint,
      completion_window: "24h",
    });
    const open = new Set(["validating", "in_progress", "finalizing", "cancelling"]);
    while (open.has(batch.status)) {
      await new Promise((resolve) => setTimeout(resolve, options.pollMilliseconds ?? 200));
      batch = await client.batches.retrieve(batch.id);
    }
    return { batch, output: await lines(batch.output_file_id), errors: await lines(batch.error_file_id) };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
