"""Makes events.csv: three days of rides on made-up bikes in a made-up town.

    python3 examples/rides/make.py

Equal on every machine. The clocks go forward on the second of the three days.
"""

import csv
import datetime
import pathlib
import random

random.seed(29)

STATIONS = ["Station", "Markt", "Haven", "Zwembad", "Universiteit", "Park, noord"]
BUSY = [1, 1, 0, 0, 0, 1, 3, 8, 11, 6, 5, 6, 7, 6, 6, 8, 10, 12, 8, 5, 4, 3, 3, 2]
FIELDS = ["ride", "bike", "station", "started at", "minutes", "km", "member", "pass until", "fare", "note"]
NOTES = ["flat tyre", 'says "brakes squeak"', "basket loose, left side", "saddle\nwet", "chain off"]


def ride(number, start):
    member = random.random() < 0.6
    minutes = max(1, round(random.lognormvariate(2.5, 0.6)))
    station = random.choices(STATIONS, [9, 6, 3, 2, 5, 2])[0]
    row = {
        "ride": f"r{number:05d}",
        "bike": random.randint(1, 40),
        "station": station,
        "started at": start.strftime("%Y-%m-%d %H:%M:%S"),
        "minutes": minutes,
        "km": round(minutes * random.uniform(0.15, 0.28), 3),
        "member": str(member).lower(),
        "pass until": "",
        "fare": "",
        "note": random.choice(NOTES) if random.random() < 0.05 else "",
    }
    if member:
        row["pass until"] = random.choice(["2026-03-31", "2026-06-30", "2026-12-31"])
    else:
        row["fare"] = f"{1 + 0.15 * minutes:.2f}"
    return dirt(row)


def dirt(row):
    """Spoils a few rides as real locks do."""
    chance = random.random()
    if chance < 0.01:
        row["minutes"] = row["km"] = ""
    elif chance < 0.02:
        row["minutes"] = -row["minutes"]
    elif chance < 0.03:
        row["km"] = "NaN"
    elif chance < 0.05:
        row["station"] = "Workshop"
    elif chance < 0.07:
        row["station"] = " " + row["station"]
    return row


def rides():
    day = datetime.datetime(2026, 3, 28)
    starts = sorted(
        day + datetime.timedelta(hours=24 * d + h, seconds=random.randrange(3600))
        for d in range(3)
        for h in range(24)
        for _ in range(BUSY[h])
    )
    rows = [ride(n, start) for n, start in enumerate(starts, 1)]
    # A lock whose clock does not know of summer time.
    rows.append(ride(len(rows) + 1, datetime.datetime(2026, 3, 29, 2, 30, 12)))
    # Locks that got no answer send again, minutes later.
    for row in random.sample(rows, 12):
        rows.insert(rows.index(row) + random.randint(1, 5), row)
    return rows


with open(pathlib.Path(__file__).parent / "events.csv", "w", newline="", encoding="utf-8") as f:
    out = csv.DictWriter(f, FIELDS, lineterminator="\n")
    out.writeheader()
    out.writerows(rides())
