"""The worker that a tutorial would write, with the same network: all in one callback, one frame at a time.

Decode, find the cells by Otsu's threshold on blue less green, classify each crop alone, write the
file, publish, and post the metric before the next frame is taken. It promises nothing: no durability, no receipts.
"""

from __future__ import annotations

import hashlib
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from models.cells import CellClassifier
from models.checkpoint import load
from models.crops import cut_box

UM_PER_PX = 0.075
MIN_AREA_PX = 2500


def main(port: int, metrics: str, folder: Path) -> None:
    """Serve until the process is ended."""
    classifier = CellClassifier(load(None))

    def on_connect(client: mqtt.Client, *_: Any) -> None:
        client.subscribe("leuko/v1/+/+/frame", qos=1)

    def on_message(client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        begun = time.perf_counter()
        name = hashlib.sha256(message.payload).hexdigest()
        image: Any = cv2.imdecode(np.frombuffer(message.payload, np.uint8), cv2.IMREAD_COLOR_RGB)
        (folder / f"{name}.jpg").write_bytes(message.payload)
        cells = []
        for box, mask in otsu_cells(image):
            area = float(mask.sum()) * UM_PER_PX**2
            opinion = classifier.judge([cut_box(image, box, mask, UM_PER_PX, classifier.spec)], [area])[0]
            cells.append({"box": box, "kind": opinion.kind, "p_blast": opinion.p_blast, "decision": "no_result"})
        total = 1e3 * (time.perf_counter() - begun)
        _, _, site, device, _ = message.topic.split("/")
        result = {"v": 1, "id": name, "site": site, "device": device, "model": classifier.name, "cells": cells}
        result |= {"decision": "no_result", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        client.publish(message.topic.replace("/frame", "/result"), msgspec.json.encode(result), qos=1)
        line = f"frame,site={site},device={device} total={total}".encode()
        urllib.request.urlopen(urllib.request.Request(metrics, line), timeout=5).close()

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = on_connect
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


def otsu_cells(image: Any) -> list[tuple[tuple[int, int, int, int], Any]]:
    """Boxes and box-local masks of the dark violet blobs."""
    violet = cv2.subtract(image[:, :, 2], image[:, :, 1])
    _, binary = cv2.threshold(violet, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    binary = cv2.morphologyEx(binary, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(binary)
    found = []
    for label in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[label])
        if area >= MIN_AREA_PX:
            found.append(((x, y, w, h), labels[y : y + h, x : x + w] == label))
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
