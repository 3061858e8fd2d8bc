"""Reads a project's exports with the packages that they are made for, and compares them with the JSON lines.

Usage: read_exports.py FOLDER
FOLDER is what the test `exports_are_written_for_other_programs` has written. No server and no network is
needed. Says what it has read; ends with an error at the first difference.
"""

import json
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from unittest.mock import MagicMock

import argilla
import datasets
import pyarrow.parquet
from label_studio_sdk.label_interface import LabelInterface

ITEM_FEATURES = {
    "item": "string",
    "culture": "string",
    "topic": "string",
    "question": "string",
    "options": ["string"],
    "first_number": "int64",
    "unaware": "int64",
    "aware": "int64",
    "unaware_probabilities": ["float64"],
    "aware_probabilities": ["float64"],
    "people": ["float64"],
    "gold": "string",
    "judgements": "int64",
    "verdict": "string",
    "verdict_option": "int64",
    "verdict_basis": "string",
}
JUDGEMENT_FEATURES = {
    "item": "string",
    "culture": "string",
    "question": "string",
    "member": "string",
    "label": "string",
    "option": "int64",
    "milliseconds": "int64",
    "at": "timestamp[ms, tz=UTC]",
}


def same(what, found, expected):
    if found != expected:
        sys.exit(f"{what} differ:\n  found    {found!r}\n  expected {expected!r}")


def item_row(line):
    """The row that an item of the JSON lines must be."""
    verdict = line["verdict"] or {"label": None, "option": None, "basis": None}
    question = line["question"]
    return {
        "item": line["id"],
        "culture": line["culture"],
        "topic": question["topic"],
        "question": question["text"],
        "options": question["options"],
        "first_number": question["first_number"],
        "unaware": line["unaware"],
        "aware": line["aware"],
        "unaware_probabilities": line["unaware_probabilities"],
        "aware_probabilities": line["aware_probabilities"],
        "people": (line["people"] or {"shares": []})["shares"],
        "gold": line["gold"],
        "judgements": len(line["judgements"]),
        "verdict": verdict["label"],
        "verdict_option": verdict["option"],
        "verdict_basis": verdict["basis"],
    }


def judgement_rows(lines):
    for line in lines:
        for said in line["judgements"]:
            judgement = said["said"]
            yield {
                "item": line["id"],
                "culture": line["culture"],
                "question": line["question"]["text"],
                "member": said["member"],
                "label": judgement["label"],
                "option": judgement["option"],
                "milliseconds": judgement["milliseconds"],
                "at": datetime.fromtimestamp(said["at"] / 1000, timezone.utc),
            }


def as_feature(kind):
    if isinstance(kind, list):
        return datasets.List(datasets.Value(kind[0]))
    return datasets.Value(kind)


def read_dataset(folder, lines):
    same("configurations", sorted(datasets.get_dataset_config_names(str(folder))), ["items", "judgements"])
    for name, features, rows in [
        ("items", ITEM_FEATURES, [item_row(line) for line in lines]),
        ("judgements", JUDGEMENT_FEATURES, list(judgement_rows(lines))),
    ]:
        with tempfile.TemporaryDirectory() as cache:
            read = datasets.load_dataset(str(folder), name, split="train", cache_dir=cache)
            wanted = {column: as_feature(kind) for column, kind in features.items()}
            same(f"features of {name}", dict(read.features), wanted)
            found = read.to_list()
        same(f"number of {name}", len(found), len(rows))
        for found_row, row in zip(found, rows):
            same(f"rows of {name}", found_row, row)
        print(f"datasets {datasets.__version__}: {len(rows)} {name}, {len(features)} features")


def parquet_rows(lines):
    """The judgements with what is held of their item, and a row for an item decided without any."""
    for line in lines:
        verdict = line["verdict"] or {"label": None, "basis": None}
        held = {"verdict": verdict["label"], "verdict_basis": verdict["basis"]}
        rows = list(judgement_rows([line]))
        if not rows and line["verdict"]:
            nothing = dict.fromkeys(JUDGEMENT_FEATURES)
            known = {"item": line["id"], "culture": line["culture"], "question": line["question"]["text"]}
            rows = [nothing | known]
        for row in rows:
            yield row | held


def read_parquet(path, lines):
    table = pyarrow.parquet.read_table(path)
    rows = list(parquet_rows(lines))
    if not any(row["member"] is None for row in rows):
        sys.exit("no item was decided without a judgement, so nothing shows that such an item has a row")
    same("rows of the Parquet file", table.to_pylist(), rows)
    print(f"pyarrow {pyarrow.__version__}: {table.num_rows} judgements")


def read_argilla(folder, lines, project):
    # Settings ask for a client, which would ask a server; nothing is asked of this one.
    argilla.Argilla._default_client = MagicMock()
    settings = argilla.Settings.from_json(folder / "settings.json")
    settings.validate()
    labels = [label["id"] for label in project["settings"]["labels"]]
    same("labels", settings.questions["label"].labels, labels)
    same("guidelines", settings.guidelines, project["settings"]["guidelines"])
    same("overlap", settings.distribution.min_submitted, project["settings"]["overlap"])
    metadata = {entry["name"]: entry["settings"]["type"] for entry in settings.metadata.serialize()}
    votes = {f"votes_{label}": "integer" for label in labels}
    same("metadata properties", metadata, {"code": "terms", "topic": "terms"} | votes)
    dataset = argilla.Dataset(name="exported", settings=settings)
    records = json.loads((folder / "records.json").read_text())
    for record in records:
        # A server refuses responses of users that it doesn't have, and with them the whole file.
        if record["responses"]:
            sys.exit(f"a record names people without an account: {record['responses']}")
    records = [argilla.Record.from_dict(record, dataset=dataset) for record in records]
    same("number of records", len(records), len(lines))
    fields = [field.name for field in settings.fields]
    for record, line in zip(records, lines):
        record.api_model()
        same("identifiers", record.id, line["id"])
        same("fields", sorted(record.fields), sorted(fields))
        same("questions", record.fields["question"], line["question"]["text"])
        same("metadata", record.metadata["code"], line["culture"])
        said = [judgement["said"]["label"] for judgement in line["judgements"]]
        for label in labels:
            same(f"votes for {label}", record.metadata[f"votes_{label}"], said.count(label))
        verdict = line["verdict"] and line["verdict"]["label"]
        suggestions = [suggestion.value for suggestion in record.suggestions]
        same("suggestions", suggestions, [verdict] if verdict else [])
    print(f"argilla {argilla.__version__}: {len(records)} records")


def read_label_studio(folder, lines, project):
    interface = LabelInterface((folder / "config.xml").read_text())
    interface.validate()
    labels = {label["id"]: label["name"] for label in project["settings"]["labels"]}
    control = interface.get_control("label")
    same("choices", {key: tag.attr["value"] for key, tag in control.labels_attrs.items()}, labels)
    tasks = json.loads((folder / "tasks.json").read_text())
    same("number of tasks", len(tasks), len(lines))
    annotations = 0
    for task, line in zip(tasks, lines):
        same("identifiers", task["data"]["id"], line["id"])
        if not interface.validate_task({"data": task["data"]}):
            sys.exit(f"the configuration refuses the task {task['data']}")
        said = []
        for annotation, judgement in zip(task["annotations"], line["judgements"]):
            annotations += 1
            # A server refuses a file with people that it doesn't have, or takes others for them.
            if "completed_by" in annotation:
                sys.exit(f"an annotation names somebody without an account: {annotation}")
            same("who judged", annotation["result"][0]["meta"]["text"], [judgement["member"]])
            if not interface.validate_annotation(annotation):
                sys.exit(f"the configuration refuses the annotation {annotation}")
            said.append(annotation["result"][0]["value"]["choices"])
        same("annotations", said, [[judgement["said"]["label"]] for judgement in line["judgements"]])
    print(f"label-studio-sdk: {len(tasks)} tasks, {annotations} annotations")


def main():
    folder = Path(sys.argv[1])
    text = (folder / "jsonl" / "all.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    project = json.loads((folder / "project.json").read_text())
    read_dataset(folder / "dataset", lines)
    read_parquet(folder / "parquet" / "all.parquet", lines)
    read_argilla(folder / "argilla", lines, project)
    read_label_studio(folder / "label-studio", lines, project)


if __name__ == "__main__":
    main()
