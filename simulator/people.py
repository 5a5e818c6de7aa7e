"""Invented people: names, 18-digit ids with a right check digit, phones, and sentences that mention them."""

from __future__ import annotations

from typing import Any

import numpy as np

SURNAMES = np.array(
    list("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"), dtype=object
)
GIVEN = np.array(
    [
        "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "秀英",
        "霞", "平", "刚", "桂英", "建国", "建华", "志强", "晓燕", "海燕", "玉兰", "国庆", "春梅", "红梅", "志明",
        "文博", "子涵", "雨桐", "浩然", "欣怡", "天宇", "思远", "佳琪",
    ],
    dtype=object,
)  # fmt: skip
MINORITY = np.array(
    [
        "买买提·吐尔逊", "阿依古丽·艾山", "巴图·孟克", "古丽娜·哈孜", "叶尔江·努尔兰", "艾力·卡德尔",
        "其其格·道尔吉", "热依汗·玉素甫", "加娜尔·别克", "萨仁·布音",
    ],
    dtype=object,
)  # fmt: skip
STREETS = np.array(
    [
        "友谊路", "团结路", "乌伊路", "伊犁路", "博乐路", "迎宾路", "幸福路", "和平路", "光明路", "振兴路",
    ],
    dtype=object,
)  # fmt: skip
_PHONE_HEADS = np.array([134, 135, 138, 139, 150, 151, 158, 159, 182, 187, 188, 189, 199])
_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ID_CHECKS = np.array(list("10X98765432"), dtype=object)


def where(condition: np.ndarray, yes: Any, no: Any) -> np.ndarray:
    """``np.where`` into an object array, so that None can be one of the answers."""
    picked: np.ndarray = np.where(condition, np.asarray(yes, dtype=object), np.asarray(no, dtype=object))
    return picked


def names(rng: np.random.Generator, n: int) -> np.ndarray:
    """n names; one in ten is a Uyghur, Kazakh or Mongolian one with its middle dot."""
    han = SURNAMES[rng.integers(0, len(SURNAMES), n)] + GIVEN[rng.integers(0, len(GIVEN), n)]
    return np.where(rng.random(n) < 0.1, MINORITY[rng.integers(0, len(MINORITY), n)], han)


def staff(rng: np.random.Generator, n: int) -> np.ndarray:
    """n pairwise different names: a unit's staff, who must be told apart."""
    pool = (SURNAMES[:, None] + GIVEN[None, :]).ravel()
    return pool[rng.permutation(len(pool))[:n]]


def phones(rng: np.random.Generator, n: int) -> np.ndarray:
    """n mobile numbers."""
    return text(_PHONE_HEADS[rng.integers(0, len(_PHONE_HEADS), n)] * 10**8 + rng.integers(0, 10**8, n))


def resident_ids(rng: np.random.Generator, n: int) -> np.ndarray:
    """n 18-digit citizen ids of the region with the check digit of GB 11643."""
    area = np.array([652722, 652722, 652722, 652723])[rng.integers(0, 4, n)]
    birth = np.datetime64("1945-01-01") + rng.integers(0, 22000, n).astype("timedelta64[D]")
    ymd = birth.astype("datetime64[Y]").astype(int) + 1970
    month = birth.astype("datetime64[M]").astype(int) % 12 + 1
    day = (birth - birth.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
    body = (area * 10**11 + (ymd * 10**4 + month * 100 + day) * 10**3 + rng.integers(1, 1000, n)).astype(np.int64)
    digits = body[:, None] // 10 ** np.arange(16, -1, -1, dtype=np.int64)[None, :] % 10
    return text(body) + _ID_CHECKS[(digits * _ID_WEIGHTS).sum(axis=1) % 11]


def text(values: np.ndarray) -> np.ndarray:
    """Numbers or fixed-width text as an object array of str, so that + joins."""
    return values.astype(str).astype(object)


def serial(values: np.ndarray, width: int) -> np.ndarray:
    """Numbers padded with zeros on the left."""
    return np.char.zfill(values.astype(str), width).astype(object)


def choose(rng: np.random.Generator, options: str | list[str], n: int, p: list[float] | None = None) -> np.ndarray:
    """n picks of blank-separated (or listed) options, weighted by p (which need not add up to one)."""
    items = options.split() if isinstance(options, str) else options
    if p is None:
        return np.array(items, dtype=object)[rng.integers(0, len(items), n)]
    weights = np.asarray(p, dtype=float)
    return np.array(items, dtype=object)[rng.choice(len(items), n, p=weights / weights.sum())]
