"""Does privilege help on real features? StressID, 55 subjects, 11 tasks: video at test time, physiology in training.

Writes a manifest of the features that were published with the corpus, compares every method with all labels and with
the labels of 30 % of the training subjects, and prints what scikit-learn's forest reaches beside it. Nothing here is a
shortcut: it is `mtpkd compare` on `stressid.yaml`. Finished cells are kept in the workspace and skipped.
"""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
REAL = Path(os.environ.get("MTPKD_REAL_DATA", HERE.parent.parent / "shared" / "real")) / "stressid"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("runs/stressid"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labelled", default="0.3,1.0", help="shares of training subjects whose labels are used")
    parser.add_argument("--methods", default="", help="comma-separated; all by default")
    options = parser.parse_args()
    if not REAL.is_dir():
        print(f"NOT MEASURED: {REAL} does not exist, set MTPKD_REAL_DATA to the folder of real recordings")
        return
    recipe = write_manifest(options.workspace.with_name(options.workspace.name + "-manifest"))
    print_anchors(recipe)
    workspace = ["--workspace", str(options.workspace)]
    mtpkd("preprocess", "manifest", str(recipe), *workspace)
    methods = ["--methods", options.methods] if options.methods else []
    mtpkd("compare", "--seeds", str(options.seeds), "--labelled", options.labelled, *methods, *workspace)


def mtpkd(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "mtpkd_cli", *arguments], check=True)


def write_manifest(folder: Path) -> Path:
    """Write manifest.csv and recipe.yaml; rows are the recordings of the 11 tasks that have both files."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_load((HERE / "stressid.yaml").read_text(encoding="utf-8"))
    corpus = settings["corpus"]
    corpus["root"] = str(folder)
    names: set[str] = set()
    for modality in corpus["modalities"].values():
        modality["table"] = str(REAL / modality["table"])
        with open(modality["table"], newline="", encoding="utf-8") as stream:
            names |= {row[0] for row in list(csv.reader(stream))[1:]}
    rows = [(name, *name.split("_", 1)) for name in sorted(names)]
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["recording", "subject", "task"])
        writer.writerows(row for row in rows if row[2] in corpus["classes"])
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return recipe


def print_anchors(recipe: Path) -> None:
    """Balanced accuracy of scikit-learn's forest on features standardised within each subject, 5 folds by subject."""
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    corpus = yaml.safe_load(recipe.read_text(encoding="utf-8"))["corpus"]
    tables = {}
    for name, modality in corpus["modalities"].items():
        table = pd.read_csv(modality["table"], index_col=0).replace([np.inf, -np.inf], np.nan)
        subjects = table.groupby(table.index.str.split("_").str[0])
        tables[name] = (table - subjects.transform("mean")) / subjects.transform("std").replace(0, 1)
    rows = tables["video"].index.intersection(tables["physiology"].index)
    columns = {name: table.loc[rows].fillna(0).to_numpy() for name, table in tables.items()}
    columns["both"] = np.concatenate(list(columns.values()), axis=1)
    task, subject = (rows.str.split("_", n=1).str[part].to_numpy() for part in (1, 0))
    for name, features in columns.items():
        forest = RandomForestClassifier(500, random_state=0)
        predicted = cross_val_predict(forest, features, task, groups=subject, cv=GroupKFold(5))
        print(f"scikit-learn's forest on {name}: {100 * balanced_accuracy_score(task, predicted):.1f} %", flush=True)


if __name__ == "__main__":
    main()
