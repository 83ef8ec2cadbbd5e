"""What `import recaption` offers: thin functions over the pipeline, the corpus and the engines."""
