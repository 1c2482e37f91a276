// Request bodies as openai-node and zod build them: `node bodies.mjs URL`, see record.py.
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { zodToJsonSchema } from "zod-to-json-schema";
import * as z3 from "zod/v3";

const url = process.argv[2];
const model = "gemini-3.6-flash";
const messages = [{ role: "user", content: "Hi" }];

const schemas = (z) => {
  const flat = z.object({ name: z.string(), age: z.number().int(), on: z.boolean() });
  const tree = z.object({ value: z.string(), children: z.array(z.lazy(() => tree)) });
  const sum = z.object({ left: z.union([z.number(), z.lazy(() => sum)]), right: z.union([z.number(), z.lazy(() => sum)]) });
  return {
    flat,
    choices: z.object({ size: z.enum(["s", "m"]), one: z.literal("x"), two: z.union([z.literal(1), z.literal("b")]) }),
    nullable: z.object({ a: z.string().nullable(), b: flat.nullable(), c: z.array(z.number().nullable()) }),
    nullish: z.object({ a: z.union([z.string().nullish(), z.number()]), b: z.string().nullish() }),
    nested: z.object({ one: flat, many: z.array(flat).min(1).max(5) }),
    limited: z.object({ code: z.string().regex(/^[A-Z]+$/).min(2).max(9), share: z.number().gt(0).lt(1) }),
    formats: z.object({ mail: z.string().email(), link: z.string().url(), key: z.string().uuid() }),
    map: z.object({ words: z.record(z.string(), z.string()), code: z.string().min(2) }),
    tuple: z.object({ pair: z.tuple([z.string(), z.number()]) }),
    untyped: z.object({ value: z.any() }),
    union: z.object({ pet: z.discriminatedUnion("kind", [z.object({ kind: z.literal("cat"), lives: z.number() }), z.object({ kind: z.literal("dog"), good: z.boolean() })]) }),
    both: z.object({ x: z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })) }),
    tree,
    sum,
    empty: z.object({}),
    strict: z.object({ a: z.string() }).strict(),
    loose: z.object({ a: z.string() }).passthrough(),
  };
};

const send = async (name, call) => {
  try {
    await call(new OpenAI({ apiKey: "x", baseURL: `${url}/${name}/v1`, maxRetries: 0 }));
  } catch {
    // Whoever listens answers 400, and some helpers refuse a schema before they send anything.
  }
};

const raw = (client, schema) =>
  client.chat.completions.create({ model, messages, response_format: { type: "json_schema", json_schema: { name: "x", schema } } });
const tool = (client, parameters) =>
  client.chat.completions.create({ model, messages, tools: [{ type: "function", function: { name: "f", parameters } }] });

for (const [name, schema] of Object.entries(schemas(z))) {
  await send(`zodResponseFormat-${name}`, (c) => c.chat.completions.create({ model, messages, response_format: zodResponseFormat(schema, "x") }));
  await send(`zodFunction-${name}`, (c) => c.chat.completions.create({ model, messages, tools: [zodFunction({ name: "f", parameters: schema })] }));
  await send(`zodTextFormat-${name}`, (c) => c.responses.create({ model, input: "Hi", text: { format: zodTextFormat(schema, "x") } }));
  await send(`zodResponsesFunction-${name}`, (c) => c.responses.create({ model, input: "Hi", tools: [zodResponsesFunction({ name: "f", parameters: schema })] }));
  for (const target of ["draft-2020-12", "draft-7", "openapi-3.0"]) {
    await send(`toJSONSchema-${target}-${name}`, (c) => tool(c, z.toJSONSchema(schema, { target })));
  }
}
for (const [name, schema] of Object.entries(schemas(z3.z ?? z3))) {
  for (const target of ["jsonSchema7", "jsonSchema2019-09", "openApi3", "openAi"]) {
    await send(`zod-to-json-schema-${target}-${name}`, (c) => raw(c, zodToJsonSchema(schema, { target })));
    await send(`zod-to-json-schema-tool-${target}-${name}`, (c) => tool(c, zodToJsonSchema(schema, { target })));
  }
}
