"""The routes: what is read from a call, and the answer's form."""
