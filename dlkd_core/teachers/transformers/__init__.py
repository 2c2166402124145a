"""Networks of Hugging Face transformers as teachers, from the folder that `save_pretrained` writes."""
