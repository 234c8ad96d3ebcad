"""Writes text-fixtures.json: what scikit-learn makes of a few texts. Run: python make-text-fixtures.py > text-fixtures.json

Needs scikit-learn; the file was made with 1.9.1.
"""

import json

from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.utils import murmurhash3_32

TEXTS = [
    "My card has not arrived yet, and my card is LOST!",
    "Café CAFÉ naïve résumé; größe ÜBER straße",
    "日本語 テキスト です。東京 東京",
    "a b c I 1 2 x_y _ __ 12 3.14",
    "don't e-mail foo@bar.com 100% __init__",
    "Ⅷ ½ ²³ ١٢٣ 𝔘𝔫𝔦 😀😀 e\u0301t\u00e9",
    "İstanbul ΟΔΟΣ ΣΣ",
    "",
    "the the the the cat cat sat on the mat " * 3,
]

SETTINGS = [
    {"ngrams": [1, 1], "buckets": 64, "norm": "l2"},
    {"ngrams": [1, 2], "buckets": 4096, "norm": "l2"},
    {"ngrams": [2, 3], "buckets": 1000, "norm": "l1"},
    {"ngrams": [1, 1], "buckets": 128, "norm": "none", "alternate_sign": False},
    {"ngrams": [1, 2], "buckets": 256, "norm": "l2", "lowercase": False, "alternate_sign": False},
    {"ngrams": [1, 1], "buckets": 512, "norm": "l2", "alternate_sign": False, "binary": True},
    {"ngrams": [1, 2], "buckets": 512, "norm": "l2", "alternate_sign": False, "sublinear": True},
    {"ngrams": [1, 1], "buckets": 32, "norm": "l2", "alternate_sign": False, "idf": "fit"},
]


def sparse(row):
    return {str(int(c)): float(v) for c, v in zip(row.indices, row.data) if v != 0}


def case(settings):
    settings = dict(settings)
    norm = None if settings["norm"] == "none" else settings["norm"]
    weighted = "idf" in settings or settings.get("sublinear")
    vectorizer = HashingVectorizer(
        n_features=settings["buckets"],
        ngram_range=tuple(settings["ngrams"]),
        norm=None if weighted else norm,
        lowercase=settings.get("lowercase", True),
        alternate_sign=settings.get("alternate_sign", True),
        binary=settings.get("binary", False),
    )
    rows = vectorizer.transform(TEXTS)
    if weighted:
        tfidf = TfidfTransformer(norm=norm, use_idf="idf" in settings, sublinear_tf=settings.get("sublinear", False))
        rows = tfidf.fit_transform(rows)
        if "idf" in settings:
            settings["idf"] = [float(v) for v in tfidf.idf_]
    return {"settings": settings, "rows": [sparse(rows[i]) for i in range(len(TEXTS))]}


hashes = {text: murmurhash3_32(text, seed=0) for text in ["hello", "café", "", "日本", "a", "ab", "abc", "abcd", "abcde", "😀"]}
print(json.dumps({"texts": TEXTS, "hashes": {k: int(v) for k, v in hashes.items()}, "cases": [case(s) for s in SETTINGS]}, ensure_ascii=False))
