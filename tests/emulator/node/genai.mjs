// Runs one scenario of @google/genai against an emulator and prints what came of it, as one JSON line.
//
//   node genai.mjs BASE_URL VERSION SCENARIO [ARGUMENTS AS JSON]
//
// inline     create with ARGUMENTS.texts                      -> name, state
// file       upload ARGUMENTS.lines, create from the file     -> file, name, state
// embed      createEmbeddings of ARGUMENTS.texts              -> name
// get        ARGUMENTS.name                                   -> the job as the SDK sees it
// download   ARGUMENTS.file                                   -> its text
// manage     create three, list two at a time, cancel, delete -> names, states, what a deleted one answers
// files      upload, get, list, delete, and a lost one
// models     list, get, an unknown one
// generate   generateContent, stream, count, function call, JSON, embed
// errors     what the SDK makes of 404, 429, 500
import { readFile, writeFile } from "node:fs/promises";
import { FunctionCallingConfigMode, GoogleGenAI } from "@google/genai";

const [, , baseUrl, apiVersion, scenario, given = "{}"] = process.argv;
const options = JSON.parse(given);
const client = new GoogleGenAI({ apiKey: "test-key", apiVersion, httpOptions: { baseUrl, apiVersion } });
const model = "gemini-2.5-flash";

const inlined = (texts) =>
  texts.map((text, at) => ({ contents: [{ role: "user", parts: [{ text }] }], metadata: { key: `k${at}` } }));

const collect = async (pages) => {
  const items = [];
  for await (const item of await pages) items.push(item);
  return items;
};

const failure = async (promise) => {
  try {
    await promise;
    return null;
  } catch (error) {
    return { name: error.name, status: error.status };
  }
};

const upload = async (lines, config = {}) => {
  const text = lines.map((line) => JSON.stringify(line) + "\n").join("");
  return client.files.upload({ file: new Blob([text]), config: { mimeType: "application/jsonl", ...config } });
};

const scenarios = {
  async inline() {
    const job = await client.batches.create({ model, src: inlined(options.texts), config: { displayName: "d" } });
    return { name: job.name, state: job.state, displayName: job.displayName };
  },
  async file() {
    const file = await upload(options.lines, { displayName: "in" });
    const job = await client.batches.create({ model, src: file.name });
    return { file, name: job.name, state: job.state };
  },
  async embed() {
    const job = await client.batches.createEmbeddings({
      model: "gemini-embedding-001",
      src: { inlinedRequests: { contents: options.texts, config: { outputDimensionality: 8 } } },
    });
    return { name: job.name };
  },
  async get() {
    return client.batches.get({ name: options.name });
  },
  async download() {
    await client.files.download({ file: options.file, downloadPath: "out.jsonl" });
    return { text: await readFile("out.jsonl", "utf8") };
  },
  async manage() {
    const names = [];
    for (let at = 0; at < 3; at++) names.push((await client.batches.create({ model, src: inlined(["x"]) })).name);
    const listed = (await collect(client.batches.list({ config: { pageSize: 2 } }))).map((job) => job.name);
    await client.batches.cancel({ name: names[0] });
    const cancelled = (await client.batches.get({ name: names[0] })).state;
    await client.batches.delete({ name: names[1] });
    return { names, listed, cancelled, deleted: await failure(client.batches.get({ name: names[1] })) };
  },
  async files() {
    await writeFile("in.txt", "hello");
    const file = await client.files.upload({ file: "in.txt", config: { mimeType: "text/plain", name: "my-file" } });
    const got = await client.files.get({ name: "my-file" });
    const listed = (await collect(client.files.list())).map((one) => one.name);
    await client.files.delete({ name: "my-file" });
    return { name: file.name, bytes: got.sizeBytes, listed, lost: await failure(client.files.get({ name: "my-file" })) };
  },
  async models() {
    const names = (await collect(client.models.list())).map((one) => one.name);
    const got = await client.models.get({ model });
    return { names, limit: got.inputTokenLimit, lost: await failure(client.models.get({ model: "gemini-0" })) };
  },
  async generate() {
    const plain = await client.models.generateContent({ model, contents: "hello there" });
    const pieces = await collect(client.models.generateContentStream({ model, contents: "hello there" }));
    const counted = await client.models.countTokens({ model, contents: "hello there" });
    const called = await client.models.generateContent({
      model,
      contents: "Paris",
      config: {
        tools: [{ functionDeclarations: [{ name: "get_weather", parametersJsonSchema: options.schema }] }],
        toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } },
      },
    });
    const structured = await client.models.generateContent({
      model,
      contents: "Paris",
      config: { responseMimeType: "application/json", responseJsonSchema: options.schema },
    });
    const embedded = await client.models.embedContent({ model: "gemini-embedding-001", contents: ["a", "b"] });
    return {
      text: plain.text,
      pieces: pieces.map((piece) => piece.text),
      tokens: counted.totalTokens,
      calls: called.functionCalls,
      json: JSON.parse(structured.text),
      sizes: embedded.embeddings.map((one) => one.values.length),
    };
  },
  async errors() {
    const attempts = [];
    for (let at = 0; at < 3; at++) attempts.push(await failure(client.batches.create({ model, src: inlined(["x"]) })));
    attempts.push(await failure(client.batches.create({ model: "gemini-0", src: inlined(["x"]) })));
    return attempts;
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
