"""Networks of Hugging Face transformers as teachers, from a zip of their folder."""
