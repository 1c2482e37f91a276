"""Reading Gemini's answers: what every endpoint needs to render a GenerateContentResponse."""
