"""Keys of the star: 64-bit hashes of natural keys, equal wherever and whenever they are made."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
import polars as pl


@lru_cache(maxsize=200_000)
def key64(kind: str, text: str) -> int:
    """A positive 63-bit key of a kind's natural key; never 0, which means unknown."""
    return (int.from_bytes(blake2b(f"{kind}:{text}".encode(), digest_size=8).digest(), "big") >> 1) or 1


def key_column(kind: str, column: pl.Series) -> pl.Series:
    """Keys of a text column, as `key64` gives them; null stays null. Each distinct text is hashed once."""
    distinct = column.drop_nulls().unique()
    start = f"{kind}:".encode()
    digests = b"".join([blake2b(start + text.encode(), digest_size=8).digest() for text in distinct])
    hashes = np.frombuffer(digests, dtype=">u8").astype(np.uint64) >> 1
    keys = pl.DataFrame(
        {"text": distinct, "key": np.maximum(hashes, 1).astype(np.int64)}, {"text": pl.Utf8, "key": pl.Int64}
    )
    texts = pl.DataFrame({"text": column}, {"text": pl.Utf8})
    return texts.join(keys, on="text", how="left", maintain_order="left")["key"].alias(column.name)


def with_key(frame: pl.DataFrame, kind: str, column: str, key: str) -> pl.DataFrame:
    """The frame with the key of a text column."""
    return frame.with_columns(key_column(kind, frame[column]).alias(key))


def natural(*columns: str) -> pl.Expr:
    """One text from several columns, for a key over all of them; nulls are empty."""
    return pl.concat_str([pl.col(column).cast(pl.Utf8).fill_null("") for column in columns], separator="\x1f")


def exam_ids(keys: pl.Series) -> pl.Series:
    """The keys as people say them: 13 letters and digits each, base 32 of RFC 4648 without padding."""
    bits = np.left_shift(keys.to_numpy().astype(np.uint64), np.uint64(1))
    digits = bits[:, None] >> np.arange(60, -1, -5, dtype=np.uint64) & np.uint64(31)
    letters = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", dtype=np.uint8)[digits]
    return pl.Series("exam_id", letters.view("S13").ravel().astype(str), dtype=pl.Utf8)
