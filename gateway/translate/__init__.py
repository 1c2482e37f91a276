"""Pure translation between OpenAI's and Gemini's words, one concept per file."""
