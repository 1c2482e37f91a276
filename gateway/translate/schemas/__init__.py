"""JSON Schemas of clients, converted to the two dialects that Gemini takes."""
