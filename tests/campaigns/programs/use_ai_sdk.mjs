// The AI SDK (npm: ai, @ai-sdk/openai), pointed at the gateway by the environment alone.
import assert from "node:assert";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });
const MODEL = "gemini-3.8-flash";
const MODELS = [openai.chat(MODEL), openai.responses(MODEL)];
const City = z.object({ name: z.string(), people: z.number() });
const getWeather = tool({
  description: "Tells the weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Sunny in ${city}.`,
});

const scenarios = {
  async single() {
    for (const model of MODELS) {
      const { text, usage } = await generateText({ model, prompt: "Say hello." });
      assert(text.includes("hello"));
      assert(usage.totalTokens > 0);
      const { object } = await generateObject({ model, schema: City, prompt: "Rome." });
      assert.equal(typeof object.people, "number");
    }
    const model = openai.embedding("gemini-embedding-001");
    const { embeddings } = await embedMany({ model, values: ["a", "b"] });
    assert.equal(embeddings.length, 2);
  },
  async stream() {
    for (const model of MODELS) {
      const result = streamText({ model, prompt: "Say hello.", onError: ({ error }) => { throw error; } });
      let text = "";
      for await (const part of result.textStream) text += part;
      assert(text.includes("hello"));
      assert((await result.usage).totalTokens > 0);
      const streamed = streamObject({ model, schema: City, prompt: "Rome." });
      for await (const part of streamed.partialObjectStream) assert(part);
      assert.equal(typeof (await streamed.object).people, "number");
    }
  },
  async tools() {
    for (const model of MODELS) {
      const ask = {
        model,
        tools: { getWeather },
        stopWhen: stepCountIs(5),
        prompt: "What is the weather in Rome?",
      };
      const whole = await generateText(ask);
      assert.equal(whole.steps.length, 2);
      assert(whole.text);
      const streamed = streamText(ask);
      await streamed.consumeStream();
      assert.equal((await streamed.steps).length, 2);
    }
  },
};

await scenarios[process.argv[2]]();
