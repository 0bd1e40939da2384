"""From an embedder and its inputs to the document that the walkthrough page shows."""
