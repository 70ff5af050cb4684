"""What models elsewhere make of texts: a list of them comes in as JSON, tokens and vectors go out.

    reference.py static FOLDER    WordLlama's own inference, of the package in FOLDER
    reference.py sentence FOLDER  a BERT encoder in numpy, after https://arxiv.org/abs/1810.04805

Tokens are made by Hugging Face's tokenizers. With --time, it is texts per CPU second that go out.
"""

import importlib.util
import json
import math
import struct
import sys
import time
import types
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer


def tensors(path):
    """The format: https://github.com/huggingface/safetensors#format"""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header, types_ = json.loads(raw[8 : 8 + length]), {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    header.pop("__metadata__", None)
    for name, of in header.items():
        start, end = (8 + length + offset for offset in of["data_offsets"])
        yield name, np.frombuffer(raw[start:end], types_[of["dtype"]]).reshape(of["shape"])


class Static:
    def __init__(self, folder):
        package = types.ModuleType("wordllama")
        package.__path__ = [str(folder / "wordllama")]
        # What its inference imports and vectors do not need: compiled for one version of Python.
        algorithms = types.ModuleType("wordllama.algorithms")
        names = ("binarize_and_packbits", "deduplicate_embeddings", "kmeans_clustering", "vector_similarity")
        for name in names:
            setattr(algorithms, name, None)
        splitter = types.ModuleType("wordllama.algorithms.semantic_splitter")
        splitter.SemanticSplitter = None
        sys.modules.update({m.__name__: m for m in (package, algorithms, splitter)})
        spec = importlib.util.spec_from_file_location("wordllama.inference", folder / "wordllama/inference.py")
        inference = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(inference)
        (table,) = (table for _, table in tensors(folder / "model.safetensors"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.model = inference.WordLlamaInference(table, self.tokenizer)

    def tokens(self, texts):
        return [self.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    def vectors(self, texts):
        return self.model.embed(texts)


class Sentence:
    def __init__(self, folder):
        self.weights = dict(tensors(folder / "model.safetensors"))
        self.config = json.loads((folder / "config.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"])
        # Between exact values 1e-4 apart, which are straight to 2e-9.
        grid = np.arange(-6, 6, 1e-4)
        exact = np.array([math.erf(x) for x in grid])
        self.erf = lambda x: np.interp(x, grid, exact)

    def tokens(self, texts):
        return [self.tokenizer.encode(text).ids for text in texts]

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def one(self, ids):
        table = lambda name: self.weights[f"embeddings.{name}_embeddings.weight"]
        x = table("word")[ids] + table("position")[: len(ids)] + table("token_type")[0]
        x = self.norm(x, "embeddings.LayerNorm")
        heads = self.config["num_attention_heads"]
        for i in range(self.config["num_hidden_layers"]):
            at = f"encoder.layer.{i}"
            split = lambda name: self.linear(x, f"{at}.attention.self.{name}").reshape(len(ids), heads, -1).swapaxes(0, 1)
            q, k, v = split("query"), split("key"), split("value")
            fit = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
            fit = np.exp(fit - fit.max(-1, keepdims=True))
            context = (fit / fit.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), -1)
            x = self.norm(x + self.linear(context, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
            wide = self.linear(x, f"{at}.intermediate.dense")
            wide = wide * 0.5 * (1 + self.erf(wide / math.sqrt(2)))
            x = self.norm(x + self.linear(wide.astype(x.dtype), f"{at}.output.dense"), f"{at}.output.LayerNorm")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)

    def vectors(self, texts):
        return np.stack([self.one(ids) for ids in self.tokens(texts)])


kind, folder, *timed = sys.argv[1:]
model = {"static": Static, "sentence": Sentence}[kind](Path(folder))
texts = json.load(sys.stdin)
if timed:
    start = time.process_time()
    model.vectors(texts)
    json.dump(len(texts) / (time.process_time() - start), sys.stdout)
else:
    full = [text for text in texts if text]
    json.dump({"tokens": model.tokens(texts), "vectors": model.vectors(full).tolist()}, sys.stdout)
