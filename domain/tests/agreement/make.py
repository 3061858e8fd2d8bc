"""Writes known.json: agreement coefficients of published and random tables, by packages that are not ours.

    pip install krippendorff statsmodels irrCAC
    python domain/tests/agreement/make.py

Every value comes from one of those packages; where two of them know a coefficient, they must agree here
before it is written. The test beside this file compares our own lines with the result.
"""

import json
import random
from itertools import combinations
from pathlib import Path

import krippendorff
import numpy
import pandas
from irrCAC.raw import CAC
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

DIGITS = 12

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve
# units, missing ratings; categories counted from 0 here.
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]

# Fleiss (1971), "Measuring nominal scale agreement among many raters", in the form of ten subjects, five
# categories and fourteen raters that textbooks use; rows are counts per category.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]

# Cohen (1960), "A coefficient of agreement for nominal scales", table 1 as counts of 200 judgements.
COHEN = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]

# Feinstein and Cicchetti (1990), "High agreement but low kappa": the paradox that Gwet's AC1 answers.
PARADOX = [[118, 5], [2, 0]]


def from_counts(rows):
    """Items with one rating per place; which rater says what doesn't matter to these coefficients."""
    return [[category for category, count in enumerate(row) for _ in range(count)] for row in rows]


def from_square(square):
    """Two raters' items from their table of counts."""
    return [
        [first, second]
        for first, row in enumerate(square)
        for second, count in enumerate(row)
        for _ in range(count)
    ]


def drawn(seed, items, raters, categories, missing):
    """Raters who mostly agree with a hidden truth; some ratings are left out."""
    source = random.Random(seed)
    table = []
    for _ in range(items):
        truth = source.randrange(categories)
        row = []
        for _ in range(raters):
            said = truth if source.random() < 0.6 else source.randrange(categories)
            row.append(None if source.random() < missing else said)
        table.append(row)
    return table


def agree(first, second):
    assert abs(first - second) < 1e-9, (first, second)
    return first


def cac(table, weights, categories):
    frame = pandas.DataFrame(
        [[numpy.nan if value is None else value for value in row] for row in table]
    )
    return CAC(frame, weights=weights, categories=list(range(categories)), digits=DIGITS)


def value(result):
    return float(result["est"]["coefficient_value"])


def alpha(table, level, categories):
    by_rater = numpy.array(
        [[numpy.nan if row[rater] is None else row[rater] for row in table] for rater in range(len(table[0]))]
    )
    return float(
        krippendorff.alpha(by_rater, value_domain=list(range(categories)), level_of_measurement=level)
    )


def counts(table, categories):
    return numpy.array([[row.count(category) for category in range(categories)] for row in table])


def expected(table, categories):
    nominal, ordinal = cac(table, "identity", categories), cac(table, "ordinal", categories)
    complete = all(value is not None for row in table for value in row)
    fleiss = value(nominal.fleiss())
    gwet = nominal.gwet()
    return {
        "percent": float(gwet["est"]["pa"]),
        "fleiss": agree(fleiss, fleiss_kappa(counts(table, categories))) if complete else fleiss,
        "alpha-nominal": agree(alpha(table, "nominal", categories), value(nominal.krippendorff())),
        "alpha-ordinal": alpha(table, "ordinal", categories),
        "ac1": value(gwet),
        "ac2": value(ordinal.gwet()),
    }


def cohen(table, categories):
    """Cohen's kappa of every pair of raters who share an item."""
    pairs = {}
    for first, second in combinations(range(len(table[0])), 2):
        square = numpy.zeros((categories, categories))
        for row in table:
            if row[first] is not None and row[second] is not None:
                square[row[first], row[second]] += 1
        kappa = cohens_kappa(square, return_results=True).kappa
        pairs[f"{first}-{second}"] = None if numpy.isnan(kappa) else float(kappa)
    return pairs


def case(name, table, categories, pairs=True):
    return {
        "name": name,
        "categories": categories,
        "table": table,
        "expected": expected(table, categories),
        "cohen": cohen(table, categories) if pairs else {},
    }


def main():
    krippendorff_table = [
        [None if value is None else value - 1 for value in column] for column in zip(*KRIPPENDORFF)
    ]
    cases = [
        case("Krippendorff 2011, section C", krippendorff_table, 5),
        case("Fleiss 1971 as textbooks have it", from_counts(FLEISS), 5, pairs=False),
        case("Cohen 1960, table 1", from_square(COHEN), 3),
        case("Feinstein and Cicchetti 1990", from_square(PARADOX), 2),
        case("drawn, complete", drawn(1, 30, 3, 4, 0.0), 4),
        case("drawn, a third missing", drawn(2, 40, 5, 5, 0.33), 5),
        case("drawn, a category nobody uses", drawn(3, 25, 4, 3, 0.2), 6),
        case("drawn, most missing", drawn(4, 60, 8, 5, 0.7), 5),
    ]
    path = Path(__file__).with_name("known.json")
    lines = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
