#!/usr/bin/env python3
"""tools/flare_goldens.py: makes tests/goldens/flare/answers.jsonl anew: made-up references and odd answers, with what each alone scores by the rules of 2026, the challenge and 2025.

Written from flare.md and from what the published scorers do (mle/engine/evaluate.py of medfm-flare/FLARE26-MedGemma, eval.py of medfm-flare/FLARE25-PaliGemma, evaluate_medgemma.py of
medfm-flare/FLARE25-MedGemma), in Python because JSON, regular expressions and literals are theirs. Standard library alone; the tests do not need it.
A line is {"task", "reference", "prediction", "flare26", "official", "flare25"}. What it scores is right or wrong for a class, [F1, precision, recall] for labels,
{threshold: [true positives, false positives, false negatives]} for boxes, the error for a number ("inf" for an infinite one); null where the rules leave the row out.
With a seed and a count it prints that many lines instead: tools/flare_goldens.py SEED ROWS.
"""
import ast
import json
import math
import random
import re
import sys

EMPTY = {"", "none", "no finding", "no findings", "n/a", "na", "null", "[]"}
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
CLASS, LABELS, BOXES, KEYED, COUNT, NUMBER = "classification", "multi-label classification", "Detection", "instance_detection", "counting", "regression"


class Unreadable(Exception):
    """The answer cannot be read by the rules of 2026."""


def rates(tp, fp, fn):
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    return (2 * precision * recall / (precision + recall) if precision + recall else 0.0), precision, recall


def error(value):
    return "inf" if math.isinf(value) else value


# --- 2026

def norm(value):
    if value is None:
        return ""
    if isinstance(value, float) and not isinstance(value, bool) and value.is_integer():
        value = int(value)
    return re.sub(r"\s+", " ", str(value).strip()).lower()


def decode(value):
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value.strip())
    except json.JSONDecodeError:
        return value


def number26(value):
    value = decode(value)
    if isinstance(value, bool):
        raise Unreadable
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, dict):
        for key in ("value", "count", "number", "prediction"):
            if key in value:
                return number26(value[key])
    if isinstance(value, list):
        if len(value) != 1:
            raise Unreadable
        return number26(value[0])
    match = re.search(r"[-+]?\d+(\.\d+)?", str(value).replace(",", ""))
    if not match:
        raise Unreadable
    return float(match[0])


def labels26(value):
    value = decode(value)
    if isinstance(value, dict):
        if "labels" in value:
            return labels26(value["labels"])
        items = [key for key, said in value.items() if said]
    elif isinstance(value, list):
        items = value
    else:
        text = "" if value is None else str(value)
        items = [] if norm(text) in EMPTY else re.split(r"[;\n|]" if re.search(r"[;\n|]", text) else ",", text)
    return {norm(item) for item in items} - EMPTY


def real(value):
    try:
        return float(value)
    except (TypeError, ValueError) as problem:
        raise Unreadable from problem


def boxes26(value):
    """Boxes as (x1, y1, x2, y2, label or None)."""
    value = decode(value)
    if value is None:
        return []
    if isinstance(value, str):
        return boxes_of_text(value)
    if isinstance(value, list):
        if len(value) == 4 and all(isinstance(item, (int, float)) for item in value):
            return [(*map(float, value), None)]
        return [box for item in value for box in boxes26(item)]
    if not isinstance(value, dict):
        raise Unreadable
    label = norm(next((value[key] for key in ("label", "class", "category", "name") if key in value), None)) or None
    if all(key in value for key in ("x1", "y1", "x2", "y2")):
        return [(*(real(value[key]) for key in ("x1", "y1", "x2", "y2")), label)]
    if all(key in value for key in ("x", "y", "width", "height")):
        x, y, width, height = (real(value[key]) for key in ("x", "y", "width", "height"))
        return [(x, y, x + width, y + height, label)]
    for key in ("bbox", "bboxes", "box", "boxes", "bounding_box", "bounding_boxes", "detections"):
        if key in value:
            return [(*box[:4], box[4] or label) for box in boxes26(value[key])]
    return [(*box[:4], box[4] or norm(key) or None) for key, inner in value.items() for box in boxes26(inner)]


def boxes_of_text(text):
    if norm(text) in EMPTY:
        return []
    boxes = []
    for group in re.findall(r"\[([-+0-9eE.,\s]+)\]", text):
        numbers = [real(part) for part in group.split(",") if part.strip()]
        if len(numbers) != 4:
            raise Unreadable
        boxes.append((*numbers, None))
    if not boxes:
        raise Unreadable
    return boxes


def iou(a, b):
    if len(a) < 4 or len(b) < 4 or not all(isinstance(n, (int, float)) for n in (*a[:4], *b[:4])):
        return 0.0
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    union = sum(max(0, box[2] - box[0]) * max(0, box[3] - box[1]) for box in (a, b)) - width * height
    return width * height / union if union > 0 else 0.0


def pairs(references, predictions, threshold):
    """Best pair first, each box once."""
    found = [(iou(a, b), i, j) for i, a in enumerate(references) for j, b in enumerate(predictions) if not (a[4] and b[4] and a[4] != b[4])]
    left, right = set(), set()
    for overlap, i, j in sorted(found, reverse=True):
        if overlap >= threshold and i not in left and j not in right:
            left.add(i)
            right.add(j)
    return len(left)


def tried(read, text, otherwise):
    try:
        return read(text)
    except Unreadable:
        return otherwise


def flare26(task, reference, prediction):
    if task == CLASS:
        return norm(reference) == norm(prediction)
    if task == LABELS:
        expected, given = labels26(reference), labels26(prediction)
        return (1.0, 1.0, 1.0) if not expected | given else rates(len(expected & given), len(given - expected), len(expected - given))
    if task in (BOXES, KEYED):
        expected, given = boxes26(reference), tried(boxes26, prediction, [])
        found = {threshold: pairs(expected, given, threshold) for threshold in THRESHOLDS}
        return {t: (n, len(given) - n, len(expected) - n) for t, n in found.items()}
    return error(abs(number26(reference) - tried(number26, prediction, 0.0)))


# --- the challenge

def ordered_pairs(choosing, chosen, threshold):
    used = set()
    for box in choosing:
        best = max(((iou(box, other), -i) for i, other in enumerate(chosen) if i not in used), default=(0.0, 0))
        if best[0] > threshold:
            used.add(-best[1])
    return len(used)


def sized(value):
    return list(value) if isinstance(value, (list, tuple, set)) else [()] * len(value)


def official_boxes(reference, prediction):
    expected, given = ast.literal_eval(reference), ast.literal_eval(prediction)
    if not isinstance(given, list):
        return 0, 0, len(expected)
    entries = [box if isinstance(box, (list, tuple)) and len(box) == 4 else () for box in given]
    found = ordered_pairs(expected, entries, 0.5)
    return found, len(given) - found, len(expected) - found


def official_keyed(reference, prediction):
    expected, given = json.loads(reference), json.loads(prediction)
    if not isinstance(given, dict):
        return 0, 0, sum(len(boxes) for boxes in expected.values())
    counts = [0, 0, 0]
    for key in {*expected, *given}:
        sides = [[(*box, None) if isinstance(box, list) and len(box) == 4 else () for box in sized(side.get(key, []))] for side in (expected, given)]
        usable = [[box for box in side if box] for side in sides]
        found = pairs(*usable, 0.5)
        for i, count in enumerate((found, len(sides[1]) - found, len(sides[0]) - found)):
            counts[i] += count
    return tuple(counts)


def official(task, reference, prediction):
    if task == CLASS:
        return reference.strip().lower() == prediction.strip().lower()
    if task == LABELS:
        expected, given = ({label.strip().lower() for label in re.split("[;,]", text) if label.strip()} for text in (reference, prediction))
        return rates(len(expected & given), len(given - expected), len(expected - given))
    if task in (BOXES, KEYED):
        try:
            return {0.5: (official_boxes if task == BOXES else official_keyed)(reference, prediction)}
        except Exception:  # the scorer's own rule: whatever goes wrong leaves the row out
            return None
    try:
        return error(abs(float(reference) - float(prediction)))
    except ValueError:
        return error(math.inf)


# --- 2025

EXPLANATIONS = ("to accurately count", "to provide an accurate count", "to count the cells", "we need to", "i would need to", "to determine", "to estimate", "follow these steps",
                "carefully examine", "inspect each")
COUNTS = (r"count.*?(?:is|are|equals?|totals?)\s*:?\s*(\d+)", r"(?:total|number|count)\s*(?:is|are|of|equals?)?\s*:?\s*(\d+)", r"(\d+)\s*cells?\s*(?:visible|present|identified|counted)",
          r"approximately\s*(\d+)", r"estimated?\s*(\d+)")


def clean(text):
    if "assistant\n" in text:
        text = text.rsplit("assistant\n", 1)[1].strip()
    elif "assistant:" in text.lower():
        text = text[text.lower().rfind("assistant:") + len("assistant:"):].strip()
    for mark in ("system\n", "user\n"):
        text = text[len(mark):].strip() if text.startswith(mark) else text
    return text.rsplit("Answer:", 1)[1].strip() if "Answer:" in text else text


def class25(text):
    text = " ".join(text.split())
    return text.upper() if len(text) == 1 and text.isalpha() else text.lower()


def said25(text):
    text = clean(text)
    match = re.search(r"\b([A-E])(?:[.)\s]|$)", text.upper())
    word = match[1] if match else (text.split() or [""])[-1]
    return class25(re.sub(r"^[\s.,:'\"]+|[\s.,:'\"]+$", "", word))


def labels25(text):
    text = clean(text)
    match = re.search(r"\[([^\]]+)\]", text)
    inner = match[1] if match else text
    parts = [part.strip().strip("'\"" if match else "'\".,;").strip() for part in inner.split(";" if ";" in inner else ",")]
    named = {part for part in parts if part}
    return named if named or match or not text.strip() else {text.strip()}


def boxes25(text):
    text = clean(text)
    if text[:1] == "{" and text[-1:] == "}":
        try:
            found = [box for boxes in json.loads(text).values() if isinstance(boxes, list) for box in boxes if isinstance(box, list) and len(box) == 4]
            return [[int(n) for n in box] for box in found]
        except json.JSONDecodeError:
            pass
        except (TypeError, ValueError):
            return []
    four = r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*"
    found = re.findall(r"\[\s*\[" + four + r"\]\s*\]", text) or re.findall(four, text)
    return [[int(n) for n in box] for box in found]


def keyed25(text):
    text = clean(text)
    if text[:1] != "{" or text[-1:] != "}":
        return {}
    try:
        out = {}
        for key, boxes in json.loads(text).items():
            if isinstance(boxes, list) and boxes:
                if isinstance(boxes[0], list) and len(boxes[0]) == 4:
                    out[key] = [[int(n) for n in box] for box in boxes]
                elif len(boxes) == 4 and all(isinstance(n, (int, float)) for n in boxes):
                    out[key] = [[int(n) for n in boxes]]
        return out
    except (TypeError, ValueError):
        return {}


def count25(text):
    text = clean(text)
    if any(phrase in text.lower() for phrase in EXPLANATIONS):
        return None
    for pattern in COUNTS:
        if found := re.findall(pattern, text.lower()):
            return max(map(int, found))
    free = [int(n) for n in re.findall(r"(?<!step\s)(?<!\d\.\s)(?<!procedure\s)(\d+)(?!\.\s)", text, re.I)]
    if large := [n for n in free if n > 10 or len(free) == 1]:
        return max(large)
    try:
        return int(float(text))
    except (OverflowError, ValueError):
        return None


def number25(text):
    text = clean(text)
    found = re.findall(r"(-?\d+\.?\d*)\s*%", text) or re.findall(r"(-?\d+\.?\d*)", text)
    return float(found[0]) if found else None


def flare25(task, reference, prediction):
    if task == CLASS:
        return class25(reference) == said25(prediction)
    if task == LABELS:
        expected, given = labels25(reference), labels25(prediction)
        return rates(len(expected & given), len(given - expected), len(expected - given)) if expected else None
    if task == BOXES:
        expected, given = boxes25(reference), boxes25(prediction)
        found = ordered_pairs(given, expected, 0.5)
        return {0.5: (found, len(given) - found, len(expected) - found)}
    if task == KEYED:
        expected, given = keyed25(reference), keyed25(prediction)
        total = [sum(map(len, side.values())) for side in (given, expected)]
        found = {t: sum(ordered_pairs(boxes, expected.get(key, []), t) for key, boxes in given.items()) for t in THRESHOLDS}
        return {t: (n, total[0] - n, total[1] - n) for t, n in found.items()}
    given = (count25 if task == COUNT else number25)(prediction)
    expected = float(reference)
    return error(math.inf if given is None else abs((int(expected) if task == COUNT else expected) - given))


# --- made-up rows

class Maker:
    LABELS = ["Dental Caries", "Pulp Diseases", "dental caries", "Normal", "None", "n/a", "Effusion", "no findings"]
    WORDS = ["A", "b", " B ", "a.", "C)", "The answer is D", "Answer: E", "F", "A fracture is seen", "None", "assistant\nB", "Assistant: c.", "luminal  B", "", "É", "user\nA", "\"A\"", "A\u00a0B"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, *choices):
        return self.random.choice(choices)

    def box(self, near=None):
        if near and self.random.random() < 0.6:
            return [max(0, n + self.one(0, 0, 1, -1, 2, 5, -5, 10)) for n in near]
        x, y = self.random.randrange(60), self.random.randrange(60)
        return [x, y, x + self.random.randrange(-2, 60), y + self.random.randrange(-2, 60)]

    def reference(self, task):
        if task == CLASS:
            return self.one("A", "B", "mass", "Luminal b", "K")
        if task == LABELS:
            return self.one(";", ", ", "; ").join(self.random.sample(self.LABELS[:4], self.random.randrange(1, 4)))
        if task == BOXES:
            return json.dumps([self.box() for _ in range(self.random.randrange(4))])
        if task == KEYED:
            return json.dumps({key: [self.box() for _ in range(self.random.randrange(3))] for key in self.random.sample(["1", "2", "22", "X", "Y"], 3)})
        return str(self.random.randrange(300)) if task == COUNT else self.one(str(self.random.randrange(100)), "33.3333333333333", "20.0", "-2.5", "1e2")

    def damaged(self, text):
        at, kind = self.random.randrange(len(text) + 1), self.random.random()
        if kind < 0.1:
            text = text[:at]
        elif kind < 0.2:
            text = text[:at] + self.one(*"[]{},;:\"'0123456789.-+eE \n|()%A") + text[at:]
        elif kind < 0.3:
            text = text[:at] + text[at + 1:]
        if self.random.random() < 0.15:
            text = self.one("The answer is ", "```json\n", "Answer: ", "assistant\n", "So: ", "A total of ") + text
        return text + self.one(".", "\n```", " cells visible", "%", " mm", "; none", " [1,2,3]") if self.random.random() < 0.15 else text

    def boxes(self, reference):
        known = json.loads(reference)
        near = known if isinstance(known, list) else [box for boxes in known.values() for box in boxes]
        some = [self.box(self.one(*near) if near else None) for _ in range(self.random.randrange(4))]
        first = some[0] if some else self.box()
        keyed = {key: [self.box(self.one(*near) if near else None) for _ in range(self.random.randrange(3))] for key in self.random.sample(["1", "2", "7", "X"], 3)}
        label = self.one("1", "X", "x", " 22 ", "tumour", "", None, 5, 1.5)
        corners = [dict(zip(("x1", "y1", "x2", "y2"), box)) for box in some]
        return self.one(
            json.dumps(some), json.dumps(first), "; ".join(map(json.dumps, some)), json.dumps(keyed), json.dumps(keyed), str(tuple(first)), str([tuple(box) for box in some]),
            str(tuple(map(tuple, some))), str(set(first)), json.dumps([one | {"label": label} for one in corners]), json.dumps([{key: str(n) for key, n in one.items()} for one in corners]),
            json.dumps([{"x": b[0], "y": b[1], "width": b[2] - b[0], "height": b[3] - b[1], "name": label} for b in some]), json.dumps({"boxes": some, "label": label, "name": "1"}),
            json.dumps({"detections": [{"bbox": box, "class": label} for box in some], "category": "X"}), json.dumps([json.dumps(box) for box in some]), json.dumps({"box": json.dumps(first)}),
            json.dumps(some + [None]), "[]", "{}", "[" + " ".join(map(str, first)) + "]", "none", "null", "5", "\"x\"", json.dumps({"1": first}), json.dumps({"1": some + [[1, 2, 3]]}),
            json.dumps({"1": None, **keyed}), json.dumps({"1": "left", **keyed}), json.dumps({"1": {"box": first}}), f'{{"1": {json.dumps(some)}, "1": {json.dumps([first])}}}',
            json.dumps([[n + 0.5 for n in box] for box in some]), json.dumps([[-n for n in first]]), "box at " + ", ".join(map(str, first)), json.dumps([some]))

    def prediction(self, task, reference):
        if task == CLASS:
            return self.damaged(self.one(*self.WORDS))
        if task == LABELS:
            some = self.random.sample(self.LABELS, self.random.randrange(4))
            said = {label: self.one(True, False, 1, 0, "yes", "", None) for label in some}
            return self.damaged(self.one(
                "; ".join(some), ", ".join(some), json.dumps(some), json.dumps({"labels": some}), json.dumps({"labels": "; ".join(some)}), json.dumps(said), "|".join(some), "\n".join(some),
                str(some), json.dumps(some + [None, 20.0, 1.5, True]), ".", '"' + " ".join(some) + '"'))
        if task in (BOXES, KEYED):
            return self.damaged(self.boxes(reference))
        n = self.random.randrange(300)
        return self.damaged(self.one(
            str(n), f"{n}.0", f"{n / 7}", f"The count is {n}", f"approximately {n} cells", f"1. look 2. count {n}", f"between {n} and {n + 20}", json.dumps([n]), json.dumps([n, n + 1]),
            json.dumps({"count": n}), json.dumps({"value": f"{n} mm"}), json.dumps({"cells": n}), f"{n},234", f"{n}%", f"image 3: {n}.5 %", "many", "", "to estimate, we need 5",
            f"{n} cells visible, total 3", "true", "[true]", "1e3", "[1.5e-2]", f" {n} \n", "1_0", "3 or 4", "0.5", '{"value": null}', f"{n} {n + 3}.", f"number of cells: {n}"))


def main():
    seed, count = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (2026, 600)
    maker = Maker(seed)
    lines = []
    for i in range(count):
        task = (CLASS, LABELS, BOXES, KEYED, COUNT, NUMBER)[i % 6]
        reference = maker.reference(task)
        prediction = maker.prediction(task, reference)
        row = {"task": task, "reference": reference, "prediction": prediction}
        lines.append(json.dumps(row | {rules.__name__: rules(task, reference, prediction) for rules in (flare26, official, flare25)}))
    text = "\n".join(lines) + "\n"
    if len(sys.argv) > 2:
        sys.stdout.write(text)
    else:
        with open(sys.path[0] + "/../tests/goldens/flare/answers.jsonl", "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
