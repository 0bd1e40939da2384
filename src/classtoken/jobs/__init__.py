"""One verb per file: options in, a frozen result out."""
