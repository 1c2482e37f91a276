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
// more       what else batches, files, caches and models can do
// errors     what the SDK makes of 404, 429, 500
// raises     every call that is refused: what is thrown
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
    return { name: error.name, status: error.status, message: error.message };
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
  async more() {
    const lines = [3, 5].map((size) => ({ request: { content: { parts: [{ text: "x" }] }, output_dimensionality: size } }));
    const file = await upload(lines);
    const embedding = await client.batches.createEmbeddings({
      model: "gemini-embedding-001",
      src: { fileName: file.name },
    });
    const auth = { getRequestHeaders: async () => ({ authorization: "Bearer oauth-token" }) };
    const registered = await client.files.registerFiles({ auth, uris: ["gs://bucket/report.pdf"] });
    const cache = await client.caches.create({
      model,
      config: { contents: [{ role: "user", parts: [{ text: "word ".repeat(2000) }] }], ttl: "600s" },
    });
    const later = await client.caches.update({ name: cache.name, config: { ttl: "6000s" } });
    const cached = await client.models.generateContent({ model, contents: "x", config: { cachedContent: cache.name } });
    const caches = (await collect(client.caches.list())).map((one) => one.name);
    const same = (await client.caches.get({ name: cache.name })).name === cache.name;
    await client.caches.delete({ name: cache.name });
    const gone = await failure(client.models.generateContent({ model, contents: "x", config: { cachedContent: cache.name } }));
    const ask = async (chosen, config) =>
      (await client.models.generateContent({ model: chosen, contents: "what is it?", config })).candidates[0];
    const kinds = async (chosen, config) =>
      (await ask(chosen, config)).content.parts.map((part) => Object.keys(part).filter((name) => name !== "thoughtSignature")[0]);
    return {
      embedding: embedding.name,
      registered: registered.files.map((one) => one.source),
      caches: { listed: caches.length, same, later: later.expireTime > cache.expireTime, gone },
      cachedTokens: cached.usageMetadata.cachedContentTokenCount === cache.usageMetadata.totalTokenCount,
      thought: await kinds(model, { thinkingConfig: { includeThoughts: true } }),
      drawn: await kinds("gemini-2.5-flash-image", { imageConfig: { aspectRatio: "16:9" } }),
      spoken: await kinds("gemini-2.5-flash-preview-tts", { responseModalities: ["AUDIO"] }),
      run: await kinds(model, { tools: [{ codeExecution: {} }] }),
      grounded: Object.keys((await ask(model, { tools: [{ googleSearch: {} }] })).groundingMetadata).length > 0,
      logprobs: (await ask(model, { responseLogprobs: true, logprobs: 2 })).logprobsResult.topCandidates.length > 0,
      single: (await client.models.embedContent({ model: "gemini-embedding-2", contents: ["a", "b"] })).embeddings.length,
      tuned: (await collect(client.models.list({ config: { queryBase: false } }))).length,
    };
  },
  async errors() {
    const attempts = [];
    for (let at = 0; at < 3; at++) attempts.push(await failure(client.batches.create({ model, src: inlined(["x"]) })));
    attempts.push(await failure(client.batches.create({ model: "gemini-0", src: inlined(["x"]) })));
    return attempts;
  },
  async raises() {
    const image = { imageBytes: "eA==", mimeType: "image/png" };
    const calls = {
      "batches.create": () => client.batches.create({ model: "gemini-0", src: inlined(["x"]) }),
      "batches.create from a lost file": () => client.batches.create({ model, src: "files/x" }),
      "batches.createEmbeddings": () => client.batches.createEmbeddings({ model, src: { inlinedRequests: { contents: "x" } } }),
      "batches.get": () => client.batches.get({ name: "batches/x" }),
      "batches.cancel": () => client.batches.cancel({ name: "batches/x" }),
      "batches.delete": () => client.batches.delete({ name: "batches/x" }),
      "files.get": () => client.files.get({ name: "x" }),
      "files.get of a result": () => client.files.get({ name: "batch-" + "x".repeat(36) }),
      "files.delete": () => client.files.delete({ name: "x" }),
      "files.registerFiles": () =>
        client.files.registerFiles({ auth: { getRequestHeaders: async () => ({}) }, uris: ["gs://a/b"] }),
      "models.get": () => client.models.get({ model: "gemini-0" }),
      "models.generateContent": () => client.models.generateContent({ model: "gemini-0", contents: "x" }),
      "models.generateContent of a wrong config": () =>
        client.models.generateContent({ model, contents: "x", config: { temperature: 9 } }),
      "models.generateContentStream": () => client.models.generateContentStream({ model: "gemini-0", contents: "x" }),
      "models.countTokens": () => client.models.countTokens({ model: "gemini-0", contents: "x" }),
      "models.embedContent": () => client.models.embedContent({ model: "gemini-0", contents: "x" }),
      "models.update": () => client.models.update({ model: "tunedModels/x", config: { displayName: "y" } }),
      "models.delete": () => client.models.delete({ model: "tunedModels/x" }),
      "caches.create": () => client.caches.create({ model, config: { contents: "short" } }),
      "caches.get": () => client.caches.get({ name: "x" }),
      "models.computeTokens": () => client.models.computeTokens({ model, contents: "x" }),
      "models.editImage": () => client.models.editImage({ model, prompt: "x", referenceImages: [] }),
      "models.generateImages": () => client.models.generateImages({ model, prompt: "x" }),
      "models.generateVideos": () => client.models.generateVideos({ model, source: { prompt: "x" } }),
      "models.recontextImage": () => client.models.recontextImage({ model, source: { prompt: "x" } }),
      "models.segmentImage": () => client.models.segmentImage({ model, source: { image } }),
      "models.upscaleImage": () => client.models.upscaleImage({ model, image, upscaleFactor: "x2" }),
    };
    const thrown = {};
    for (const [name, call] of Object.entries(calls)) thrown[name] = await failure(call());
    return thrown;
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
