"""How much of what is planted the redaction finds, and how much of what it redacts in real text was personal.

Recall: phones, ids and names in every spelling that people use, planted in sentences as hotlines and reviews hold them;
found means that neither the digits nor the name can be read out of what is left, and exact that the rest of the
sentence stayed. Precision: the text columns of the real exports in REAL_DATA_DIR, as they are and with numbers planted
in some; a redaction of what nobody planted is true only for a mobile number written in one piece, or an id by
python-stdnum; every other one counts as false, names too.

    python -m tests.ingestion.redaction_study        prints both, and every false redaction for eyes
"""

from __future__ import annotations

import csv
import io
import os
import random
import re
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from stdnum.cn import ric

from ingestion.normalize import connect
from ingestion.redaction import IDENTITY, NAME, PHONE, redact

REAL_DATA = Path(os.environ.get("REAL_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")

_FULL = {48 + n: 0xFF10 + n for n in range(10)} | {ord("X"): "Ｘ"}
_UPPER = {48 + n: sign for n, sign in enumerate("零壹贰叁肆伍陆柒捌玖")}
_ZERO = "\u200b\u200c\u200d\u2060\ufeff\u00ad"

Spelling = Callable[[str, random.Random], str]


def numerals(text: str, rng: random.Random) -> str:
    """Chinese numerals, 1 also as 幺, 0 also as 零 and ○."""
    zero, one = rng.choice("〇零○"), rng.choice("一幺")
    return text.translate({48 + n: sign for n, sign in enumerate(zero + one + "二三四五六七八九")})


def hidden(text: str, rng: random.Random) -> str:
    """A zero-width sign at some places, at least one."""
    at = set(rng.sample(range(1, len(text)), min(len(text) - 1, rng.randint(1, 4))))
    return "".join((rng.choice(_ZERO) if n in at else "") + sign for n, sign in enumerate(text))


def grouped(text: str, sign: str, *sizes: int) -> str:
    """The text in groups of these sizes, the sign between them."""
    parts, start = [], 0
    for size in sizes:
        parts.append(text[start : start + size])
        start += size
    return sign.join([*parts, text[start:]] if text[start:] else parts)


PHONES: dict[str, Spelling] = {
    "plain": lambda p, _: p,
    "full-width": lambda p, _: p.translate(_FULL),
    "spaced 3-4-4": lambda p, _: grouped(p, " ", 3, 4),
    "spaced 4-4-3": lambda p, _: grouped(p, " ", 4, 4),
    "full-width spaced": lambda p, _: grouped(p, "\u3000", 3, 4).translate(_FULL),
    "no-break spaced": lambda p, _: grouped(p, "\u00a0", 3, 4),
    "one space somewhere": lambda p, rng: grouped(p, " ", rng.randint(1, 10)),
    "every digit spaced": lambda p, _: " ".join(p),
    "hyphened": lambda p, rng: grouped(p, rng.choice("-－–—"), 3, 4),
    "dotted": lambda p, _: grouped(p, ".", 3, 4),
    "zero-width": hidden,
    "zero-width and spaced": lambda p, rng: hidden(grouped(p, " ", 3, 4), rng),
    "Chinese numerals": numerals,
    "Chinese numerals spaced": lambda p, rng: grouped(numerals(p, rng), " ", 3, 4),
    "Chinese capitals": lambda p, _: p.translate(_UPPER),
    "half in numerals": lambda p, rng: p[:3] + numerals(p[3:7], rng) + p[7:],
    "+86": lambda p, rng: "+86" + rng.choice(["", " ", "-"]) + p,
    "+86 spaced": lambda p, _: "+86 " + grouped(p, " ", 3, 4),
    "full-width +86": lambda p, _: ("+86" + p).translate(_FULL | {ord("+"): "＋"}),
    "(+86)": lambda p, _: "(+86)" + p,
    "0086": lambda p, rng: "0086" + rng.choice(["", " ", "-"]) + p,
    "86": lambda p, _: "86" + p,
}

IDS: dict[str, Spelling] = {
    "plain": lambda i, _: i,
    "small x": lambda i, _: i.lower(),
    "full-width": lambda i, _: i.translate(_FULL),
    "grouped 6-8-4": lambda i, rng: grouped(i, rng.choice(" -　"), 6, 8),
    "every digit spaced": lambda i, _: " ".join(i),
    "zero-width": hidden,
    "Chinese numerals": numerals,
    "Chinese capitals": lambda i, _: i.translate(_UPPER),
    "fifteen digits": lambda i, _: i[:6] + i[8:17],
}

NAMES: dict[str, Spelling] = {
    "plain": lambda n, _: n,
    "spaced": lambda n, rng: rng.choice(" \u3000").join(n),
    "zero-width": hidden,
    "dots of another kind": lambda n, rng: n.replace("·", rng.choice("•・‧.")),
}

_SENTENCES = (
    "市民来电反映小区路灯不亮，请回电{}，谢谢。",
    "{}，请尽快联系我",
    "联系电话：{}。希望有关部门解决噪音问题",
    "我的号码是{}，打了12345三次没有人管",
    "2022年7月1日8时30分拨打{}无人接听",
    "6月份共缴费138元，有问题找{}",
    "微信同号{}（晚上八点以后）",
    "3号楼2单元501室停水两天，{}",
    "公司在友谊路110号，{}，要求退还押金13812.50元。",
    "工单202207010012未解决，回访请打{}!",
    "【投诉】拖欠工资\n{}\n请核实",
    "服务态度好,办事快,{},点赞",
    "电话{}或到窗口面谈",
    "{}",
)
_ID_SENTENCES = (
    "身份证号{}，请核实社保",
    "身份证号码：{}。新生儿落户被退回两次",
    "证件号{}查不到记录",
    "本人证件 {} ，7月5日申请，至今未办结",
    "户口本上是{}，系统里不一致",
    "{}",
    "办件编号652701202207010001，{}，请查",
)
_OWN_SENTENCES = ("{}反映停水", "来电人称其丈夫{}被拖欠工资", "请联系{}。", "业主{}多次投诉无果", "{}")
_CUED_SENTENCES = (
    "我叫{}，家住友谊路3号",
    "姓名：{}，请查询进度",
    "联系人:{}，希望尽快解决",
    "联系人{}，电话12345",
    "当事人{}反映物业不作为",
    "本人{}，身份证丢失需要补办",
    "投诉人是{}，被投诉的是超市",
    "您好，我叫{}。请问社保怎么转",
)
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"
_GIVEN_PAIRS = "秀英 桂英 建国 建华 志强 晓燕 海燕 玉兰 国庆 春梅 志明 文博 子涵 雨桐 浩然 欣怡"
_MINORITY = ("买买提·吐尔逊", "阿依古丽·艾山", "巴图·孟克", "古丽娜·哈孜", "其其格·道尔吉", "热依汗·玉素甫")


@dataclass(frozen=True)
class Planted:
    """One sentence with one secret: its kind and spelling, what must not be left, and the row's own personal cell."""

    kind: str
    spelling: str
    text: str
    secret: str
    expected: str
    own: str | None = None


def phone(rng: random.Random) -> str:
    """A mobile number."""
    return f"1{rng.choice('3456789')}{rng.randrange(10**9):09d}"


def identity(rng: random.Random) -> str:
    """An 18-digit citizen's id with a right check digit."""
    area = rng.choice(("652701", "652722", "110105", "440307", "510104", "320581"))
    born = f"{rng.randint(1940, 2015)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    first = f"{area}{born}{rng.randint(1, 999):03d}"
    return first + ric.calc_check_digit(first + "0")


def name(rng: random.Random) -> str:
    """A name of two or three characters; one in eight Uyghur, Kazakh or Mongolian with its middle dot."""
    if rng.random() < 0.125:
        return rng.choice(_MINORITY)
    given = [*_GIVEN, *_GIVEN_PAIRS.split()]
    return rng.choice(_SURNAMES) + rng.choice(given)


def planted(count: int, seed: int) -> list[Planted]:
    """``count`` sentences: every kind and spelling as often."""
    rng = random.Random(seed)
    recipes = [("phone", spelling) for spelling in PHONES] + [("id", spelling) for spelling in IDS]
    recipes += [("own name", spelling) for spelling in NAMES]
    recipes += [("cued name", spelling) for spelling in ("plain", "zero-width")]
    found = []
    for number in range(count):
        kind, spelling = recipes[number % len(recipes)]
        if kind == "phone":
            secret, sentences, sign = phone(rng), _SENTENCES, PHONE
            spelt = PHONES[spelling](secret, rng)
        elif kind == "id":
            secret, sentences, sign = identity(rng), _ID_SENTENCES, IDENTITY
            while spelling.startswith("Chinese") and secret.endswith("X"):
                secret = identity(rng)
            spelt = IDS[spelling](secret, rng)
            secret = secret[:6] + secret[8:17] if spelling == "fifteen digits" else secret
        else:
            secret, sign = name(rng), NAME
            sentences = _OWN_SENTENCES if kind == "own name" else _CUED_SENTENCES
            spelt = NAMES[spelling](secret, rng)
        sentence = rng.choice(sentences)
        own = secret if kind == "own name" else None
        found.append(Planted(kind, spelling, sentence.format(spelt), secret, sentence.format(sign), own))
    return found


_AS_DIGITS = str.maketrans("〇零○一壹幺二贰三叁四肆五伍六陆七柒八捌九玖", "00011122334455667788" + "99")


def readable(text: str) -> str:
    """The text as somebody who looks for secrets reads it: narrowed, without gaps, numerals as digits."""
    plain = unicodedata.normalize("NFKC", text).translate(_AS_DIGITS).upper()
    return re.sub(r"[\s\u00ad\u200b-\u200f\u2060\ufeff.·•・‧_*\-\u2010-\u2015]", "", plain)


@dataclass
class Recall:
    """Per kind and spelling: planted, found (nothing readable is left), exact (and the rest of the sentence stayed)."""

    planted: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    exact: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: list[tuple[str, str]] = field(default_factory=list)

    def of(self, *kinds: str) -> float:
        """Share found, of these kinds."""
        count = sum(n for (kind, _), n in self.planted.items() if kind in kinds)
        return sum(n for (kind, _), n in self.found.items() if kind in kinds) / count

    @property
    def exact_share(self) -> float:
        return self.exact.total() / self.planted.total()

    def lines(self) -> Iterator[str]:
        for what, count in self.planted.items():
            shares = f"found {self.found[what] / count:7.2%} exact {self.exact[what] / count:7.2%}"
            yield f"{what[0]:10} {what[1]:24} {count:6} {shares}"


def measure_recall(count: int = 12_000, seed: int = 20220708) -> Recall:
    """Redacts the planted sentences as a load does, and looks for what is left."""
    rows, recall = planted(count, seed), Recall()
    own = pa.chunked_array([pa.array([row.own for row in rows], pa.string())])
    with connect() as connection:
        left = redact(connection, pa.array([row.text for row in rows], pa.string()), [own]).to_pylist()
    for row, text in zip(rows, left, strict=True):
        what = (row.kind, row.spelling)
        recall.planted[what] += 1
        if readable(row.secret) in readable(text):
            recall.missed.append((row.text, text))
            continue
        recall.found[what] += 1
        recall.exact[what] += _bare(text) == _bare(row.expected)
    return recall


def _bare(text: str) -> str:
    """Without what belongs to the number or not, as one likes: white space, a country code's brackets."""
    plain = re.sub(r"[\s\u00ad\u200b-\u200f\u2060\ufeff]", "", unicodedata.normalize("NFKC", text))
    return plain.replace("(+86)", "")


@dataclass
class Precision:
    """Texts looked at, true and false redactions, and the false ones for eyes."""

    texts: int = 0
    true: int = 0
    false: list[tuple[str, str]] = field(default_factory=list)

    @property
    def share(self) -> float:
        made = self.true + len(self.false)
        return self.true / made if made else 1.0


def real_texts() -> list[str]:
    """Every different text of the real exports: cells that are no bare number, and whole rows as people paste them."""
    texts: dict[str, None] = {}
    with (REAL_DATA / "hotline_pingshan_2018.csv").open(encoding="utf-8-sig", newline="") as file:
        _collect(texts, csv.reader(file), ("，", " "))
    with tarfile.open(REAL_DATA / "ottawa_311_2014.tar.xz") as archive:
        for member in archive.getmembers():
            if member.name.endswith(".csv") and (packed := archive.extractfile(member)):
                _collect(texts, csv.reader(io.TextIOWrapper(packed, "utf-8", "replace", newline="")), (",",))
    return list(texts)


def _collect(texts: dict[str, None], rows: Iterator[list[str]], joined: tuple[str, ...]) -> None:
    next(rows)
    for row in rows:
        texts.update(dict.fromkeys(cell for cell in row if not re.fullmatch(r"[\d.\-]*", cell)))
        texts.update((sign.join(row), None) for sign in joined)


def measure_precision(planted_share: float = 0.01, seed: int = 7) -> Precision:
    """Redacts the real texts, a share of them with a phone or an id behind, and judges every redaction."""
    rng, texts, planted_in = random.Random(seed), [], []
    for text in real_texts():
        secret = rng.choice((phone, identity))(rng) if rng.random() < planted_share else None
        texts.append(f"{text}，联系{secret}" if secret else text)
        planted_in.append(secret)
    with connect() as connection:
        left = redact(connection, pa.array(texts, pa.string())).to_pylist()
    result = Precision(texts=len(texts))
    for text, after, secret in zip(texts, left, planted_in, strict=True):
        if text == after:
            continue
        made = len(re.findall(f"{PHONE}|{IDENTITY}|{NAME}", after))
        meant = 1 if secret and secret not in after else _personal(text)
        result.true += min(made, meant)
        result.false += [(text, after)] * max(made - meant, 0)
    return result


def _personal(text: str) -> int:
    """Phones in one piece and valid ids in a text nobody planted anything in."""
    plain = unicodedata.normalize("NFKC", text)
    ids = sum(ric.is_valid(candidate) for candidate in re.findall(r"(?<!\d)\d{17}[\dXx](?!\d)", plain))
    return ids + len(re.findall(r"(?<!\d)1[3-9]\d{9}(?!\d)", plain))


def main() -> None:
    recall, precision = measure_recall(), measure_precision()
    print(*recall.lines(), sep="\n")
    print(f"recall: numbers {recall.of('phone', 'id'):.3%}, own names {recall.of('own name'):.3%},", end=" ")
    print(f"cued names {recall.of('cued name'):.3%}; exact {recall.exact_share:.3%} of {recall.planted.total()}")
    for text, left in recall.missed[:40]:
        print(f"  missed {text!a} -> {left!r}")
    print(
        f"precision: {precision.share:.3%} of {precision.true + len(precision.false)} in {precision.texts} real texts"
    )
    for text, left in precision.false[:40]:
        print(f"  false {text!r} -> {left!r}")


if __name__ == "__main__":
    main()
