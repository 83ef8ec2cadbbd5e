"""Reads a corpus with DuckDB, pandas, Polars and Hugging Face's datasets, on disk or S3.

python examples/read_corpus.py out/demo/corpus
"""

import sys

import datasets
import duckdb
import polars as pl

import recaption


def main(path: str) -> None:
    corpus = recaption.open_corpus(path)
    counts = corpus.counts()
    print(f"{corpus}: {counts.samples} samples, {counts.captions} captions")

    captions = corpus.dataset()  # committed parts only; DuckDB finds it by its Python name
    by_style = duckdb.sql("SELECT style, count(*) FROM captions GROUP BY style ORDER BY style")
    print("DuckDB:", by_style.fetchall())

    frame = corpus.pandas(["style", "caption_tokens"])
    print("pandas:", frame.groupby("style")["caption_tokens"].mean().round(1).to_dict())

    sure = pl.scan_pyarrow_dataset(captions).filter(pl.col("mean_logprob") > -0.5)
    print("Polars:", sure.select("sample_id", "caption").collect().height, "sure captions")

    set_ = datasets.Dataset(datasets.table.InMemoryTable(corpus.arrow(["sample_id", "caption"])))
    print("datasets:", set_)

    first = next(corpus.samples())  # one part is held at a time
    print(f"{first.sample_id}: {first.texts}, hints {[hint.text for hint in first.hints]}")


if __name__ == "__main__":
    main(sys.argv[1])
