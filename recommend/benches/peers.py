"""Answers the benchmark's requests with other engines: one JSON object a line comes in, one goes out.

Every engine runs on one thread; times are CPU seconds of this process.
"""

import importlib
import json
import sys
import time

import numpy as np


def package(name):
    try:
        return importlib.import_module(name)
    except Exception:  # a package that cannot be had is told, whatever its reason
        return None


faiss, hnswlib, usearch = package("faiss"), package("hnswlib"), package("usearch.index")
if faiss:
    faiss.omp_set_num_threads(1)

# Widths of a search that are tried, from the least.
WIDTHS = [10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256, 512]
LINKS, WIDTH_OF_BUILD = 16, 128


class Numpy:
    def __init__(self, rows):
        self.rows = rows

    def search(self, queries, k):
        found = np.empty((len(queries), k), dtype=np.int64)
        for i, query in enumerate(queries):
            scores = self.rows @ query
            best = np.argpartition(scores, len(scores) - k)[-k:]
            found[i] = best[np.argsort(-scores[best])]
        return found


class Faiss:
    """One query a call: that is how a service gets them."""

    def __init__(self, index, rows, together=False):
        self.index, self.together = index, together
        if not index.is_trained:
            index.train(rows)
        index.add(rows)

    def search(self, queries, k):
        if self.together:
            return self.index.search(queries, k)[1]
        return np.concatenate([self.index.search(query[None], k)[1] for query in queries])

    def widen(self, width):
        self.index.hnsw.efSearch = width


class Hnswlib:
    def __init__(self, rows):
        self.index = hnswlib.Index(space="ip", dim=rows.shape[1])
        self.index.init_index(max_elements=2 * len(rows), M=LINKS, ef_construction=WIDTH_OF_BUILD)
        self.index.set_num_threads(1)
        self.index.add_items(rows, np.arange(len(rows)), num_threads=1)

    def search(self, queries, k):
        return self.index.knn_query(queries, k=k, num_threads=1)[0].astype(np.int64)

    def widen(self, width):
        self.index.set_ef(width)

    def replace(self, gone, slots, rows):
        for slot in gone:
            self.index.mark_deleted(slot)
        self.index.add_items(rows, slots, num_threads=1)


class Usearch:
    def __init__(self, rows):
        self.index = usearch.Index(
            ndim=rows.shape[1], metric="ip", dtype="f32", connectivity=LINKS, expansion_add=WIDTH_OF_BUILD
        )
        self.index.add(np.arange(len(rows)), rows, threads=1)

    def search(self, queries, k):
        return self.index.search(queries, k, threads=1).keys.astype(np.int64)

    def widen(self, width):
        self.index.expansion_search = width

    def replace(self, gone, slots, rows):
        self.index.remove(np.asarray(gone), threads=1)
        self.index.add(np.asarray(slots), rows, threads=1)


def faiss_hnsw(rows):
    index = faiss.IndexHNSWFlat(rows.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = WIDTH_OF_BUILD
    return Faiss(index, rows, together=True)


def sq8(rows):
    d = rows.shape[1]
    return Faiss(faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT), rows)


ENGINES = {
    "numpy": (np, Numpy),
    "faiss Flat": (faiss, lambda rows: Faiss(faiss.IndexFlatIP(rows.shape[1]), rows)),
    "faiss SQ8": (faiss, sq8),
    "faiss HNSW": (faiss, faiss_hnsw),
    "hnswlib": (hnswlib, Hnswlib),
    "usearch": (usearch, Usearch),
}


class Session:
    def __init__(self):
        self.built = {}

    def load(self, folder, dimension):
        self.built = {}
        read = lambda name: np.fromfile(f"{folder}/{name}", dtype=np.float32).reshape(-1, dimension)
        self.rows, self.queries, self.folder = read("rows"), read("queries"), folder
        return {}

    def build(self, engine):
        made_of, build = ENGINES[engine]
        if made_of is None:
            return {"missing": True}
        start = time.process_time()
        self.built[engine] = build(self.rows)
        return {"cpu": time.process_time() - start}

    def truth(self, k):
        return np.fromfile(f"{self.folder}/truth", dtype=np.uint32).reshape(-1, k)

    def search(self, engine, k):
        start = time.process_time()
        found = self.built[engine].search(self.queries, k)
        cpu = time.process_time() - start
        same = [len(np.intersect1d(a, b)) for a, b in zip(found, self.truth(k))]
        return {"cpu": cpu, "recall": float(np.sum(same)) / (k * len(same))}

    def widen(self, engine, k, recall):
        """Sets the least width that reaches the recall."""
        for width in WIDTHS:
            self.built[engine].widen(width)
            if self.search(engine, k)["recall"] >= recall:
                break
        return {"width": width}

    def replace(self, engine, dimension):
        """Takes the slots of the file `gone` out, and puts the rows of `new` in new slots."""
        if not hasattr(self.built[engine], "replace"):
            return {"missing": True}
        gone = np.fromfile(f"{self.folder}/gone", dtype=np.uint32).astype(np.int64)
        new = np.fromfile(f"{self.folder}/new", dtype=np.float32).reshape(-1, dimension)
        start = time.process_time()
        self.built[engine].replace(gone, np.arange(len(self.rows), len(self.rows) + len(new)), new)
        return {"cpu": time.process_time() - start}


session = Session()
for line in sys.stdin:
    request = json.loads(line)
    answer = getattr(session, request.pop("do"))(**request)
    print(json.dumps(answer), flush=True)
