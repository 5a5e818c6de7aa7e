"""Tokens are HMAC-SHA-256, keys are kept, free text is redacted."""

from __future__ import annotations

import hashlib
import hmac
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric

from ingestion import redaction
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.normalize import connect
from ingestion.personal import PseudonymKey, key_of
from ingestion.redaction import IDENTITY, NAME, PHONE, redact

CONNECTION = connect()
KEY = PseudonymKey("k1", b"0123456789abcdef0123456789abcdef")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=150)), max_size=20
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100).map(str.encode),
)
def test_a_token_is_the_hmac_of_the_value(values: list[str | None], secret: bytes) -> None:
    tokens = PseudonymKey("k", secret).tokenise(pa.array(values, pa.string())).to_pylist()
    assert tokens == [
        None if value is None else "k:" + hmac.new(secret, value.encode(), hashlib.sha256).hexdigest()[:32]
        for value in values
    ]


def test_many_values_that_repeat_and_many_that_do_not() -> None:
    for values in ([f"v{n % 7}" for n in range(40_000)], [f"v{n}" for n in range(40_000)]):
        tokens = KEY.tokenise(pa.chunked_array([values[:30_000], values[30_000:]])).to_pylist()
        assert len(set(tokens)) == len(set(values))
        assert tokens[39_999] == "k1:" + hmac.new(KEY.secret, values[39_999].encode(), "sha256").hexdigest()[:32]


def test_the_home_makes_its_key_once_and_keeps_it_private(tmp_path: Path) -> None:
    home = Home(tmp_path)
    key = key_of(home)
    assert key == key_of(home)
    assert key != key_of(Home(tmp_path / "other"))
    assert len(key.secret) == 64  # 256 bits in hex
    assert home.keys.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in home.keys.iterdir()] == [0o600]
    assert key.secret.hex() not in repr(key)


def test_the_key_of_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_PII_KEY", "2026a:" + "x" * 32)
    assert key_of(Home(tmp_path)) == PseudonymKey("2026a", b"x" * 32)
    monkeypatch.setenv("TONGBAO_PII_KEY", "y" * 32)
    unnamed = key_of(Home(tmp_path))
    assert unnamed.secret == b"y" * 32 and "y" not in unnamed.key_id.removeprefix("env-")
    assert not (tmp_path / "keys").exists()
    monkeypatch.setenv("TONGBAO_PII_KEY", "short-secret")
    with pytest.raises(BadParameter) as error:
        key_of(Home(tmp_path))
    assert "short-secret" not in str(error.value)


def redacted(*texts: str | None) -> list[str | None]:
    return redact(CONNECTION, pa.array(texts, pa.string())).to_pylist()


def identity(first_17: str) -> str:
    return first_17 + ric.calc_check_digit(first_17 + "0")


ID = identity("65270119900307123")


@pytest.mark.parametrize(
    "phone",
    [
        "13812345678",
        "１３８１２３４５６７８",
        "138 1234 5678",
        "138-1234-5678",
        "1 3 8 1 2 3 4 5 6 7 8",
        "138\u200b1234\u200d5678",
        "一三八一二三四五六七八",
        "幺三八 一二三四 五六七八",
        "+8613812345678",
        "+86 138 1234 5678",
        "0086-13812345678",
        "0909-6222345",
    ],
)
def test_phones_in_every_spelling(phone: str) -> None:
    assert redacted(f"请回电{phone},谢谢", phone, f"电话:{phone}。") == [
        f"请回电{PHONE},谢谢",
        PHONE,
        f"电话:{PHONE}。",
    ]


@pytest.mark.parametrize(
    "number",
    [ID, f"{ID[:6]} {ID[6:14]} {ID[14:]}", ID.translate({48 + n: 0xFF10 + n for n in range(10)}), "652701900307123"],
)
def test_identity_numbers(number: str) -> None:
    assert redacted(f"身份证号{number},请核实") == [f"身份证号{IDENTITY},请核实"]


def test_a_number_that_is_called_an_identity_number_is_one_whatever_its_check_digit() -> None:
    wrong = f"{ID[:17]}{(int(ID[17]) + 1) % 10}"
    assert redacted(f"身份证号码:{wrong}。") == [f"身份证号码:{IDENTITY}。"]


def test_identity_number_in_chinese_numerals() -> None:
    known = next(number for n in range(100, 200) if (number := identity(f"65270119900307{n}"))[-1] != "X")
    assert redacted("证件" + known.translate({48 + n: "〇一二三四五六七八九"[n] for n in range(10)})) == [
        f"证件{IDENTITY}"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "工单号652701202207010001已转办",
        f"编码{ID[:17]}{(int(ID[17]) + 1) % 10}",
        "13 2022-07-01 8:30",
        "2022-07-01至2022-08-31共138人次",
        "订单号1381234567890123",
        "第138号文件,12345热线,110报警",
        "一九七八年三月十二日",
        "路灯不亮,希望解决",
        "金额13812.50元",
        "2022-07 2022-07--2022-09",  # as digits a date of birth and the right check digit
    ],
)
def test_what_is_no_personal_data_stays(text: str) -> None:
    assert redacted(text) == [text]


def test_two_numbers_with_one_sign_between_them() -> None:
    assert redacted(f"13812345678,15912345678 {ID};{ID}") == [f"{PHONE},{PHONE} {IDENTITY};{IDENTITY}"]


def test_names_of_the_row_itself_and_after_a_cue() -> None:
    own = pa.chunked_array([["买买提·吐尔逊", "王", None]])
    texts = pa.array(["买买提·吐尔逊反映停水", "王家庄停水", "联系人:欧阳明,电话13812345678"])
    assert redact(CONNECTION, texts, [own]).to_pylist() == [
        f"{NAME}反映停水",
        "王家庄停水",
        f"联系人:{NAME},电话{PHONE}",
    ]


def test_texts_keep_their_places_and_nulls() -> None:
    assert redacted(None, "无", "13812345678", None) == [None, "无", PHONE, None]
    assert redacted() == []


def test_a_text_without_the_words_holds_no_name_of_the_pattern() -> None:
    """The patterns of names are asked only where one of their words stands: no text that they match is without."""
    words_of_texts = (
        "我叫 名叫 姓名 联系人 联系人: 当事人是 法定代表人 本人 我是 我为 先生 女士 同志 找 和 向 ， （ 。 称 男 今年 "
        "王芳 赵刚 欧阳明月 李建国 阿不都·热合曼 托里镇 反映 电话 住在"
    )
    pieces = words_of_texts.split()
    chance = random.Random(11)
    texts = pa.array(["".join(chance.choices(pieces, k=chance.randint(1, 6))) for _ in range(6000)])
    for words, pattern in redaction._NAMES:
        named = pc.match_substring_regex(texts, pattern)
        worded = pc.match_substring_regex(texts, words)
        assert pc.sum(named).as_py() > 20, pattern
        assert pc.all(pc.or_(worded, pc.invert(named))).as_py(), words
