"""Every relevance map, and the tests that say whether a map tells what matters."""
