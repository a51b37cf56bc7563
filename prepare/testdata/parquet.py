"""Writes the Parquet files beside it. Needs pyarrow (26.0.1 wrote these)."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
table = pa.table({
    "id": [1, 2, 3, 4],
    "text": ["Step by step.", None, "Gradus ad Parnassum: ünïcödé.", "Step by step."],
    "tags": [["a"], [], None, ["b", "c"]],
})
for compression in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(table, here / f"{compression}.parquet", compression=compression, row_group_size=3, store_schema=False)
pq.write_table(table, here / "v2-delta.parquet", compression="zstd", data_page_version="2.0", use_dictionary=False,
               column_encoding={"text": "DELTA_BYTE_ARRAY"}, write_page_checksum=True, store_schema=False)
pq.write_table(table, here / "v2-length.parquet", compression="snappy", data_page_version="2.0", use_dictionary=False,
               column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY"}, store_schema=False)
