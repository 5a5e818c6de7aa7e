"""Free text without personal data: phones, 身份证 numbers and names become 【电话】, 【证件】, 【姓名】.

Looked for in the NFKC form without zero-width characters: digits may be full-width, spaced, hyphenated or Chinese
numerals (一三八…, 幺), phones may carry +86 or 0086. An 18-digit number is an id only with a real date and the right
check digit (GB 11643), so codes of cases and tickets stay. Names are those of the row's own personal columns, and what
follows a cue such as 联系人. A text in which nothing is found stays as it was delivered.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.personal_numbers import (
    ADDRESS,
    AS_DIGITS,
    DATE,
    ENOUGH_DIGITS,
    GROUPED,
    IDENTITY,
    NUMERALS,
    PERIODS,
    PHONE,
    STEPS,
    ZERO_WIDTH,
)

__all__ = ["IDENTITY", "MACROS", "NAME", "PHONE", "redact", "redact_numbers"]

NAME = "【姓名】"

_SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚范彭郎鲁韦昌马苗凤"
    "花方俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄和穆萧尹姚邵湛汪祁毛禹狄米"
    "贝明臧计伏成戴谈宋茅庞熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄危江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万支"
    "柯管卢莫房解应宗丁宣邓郁单杭洪包诸左石崔吉龚程邢裴陆荣翁荀甄曲封芮储靳段巫焦巴车侯全秋仲宫宁仇甘厉祖武符刘景"
    "詹束龙叶幸司黎薄印宿白蒲卓蔺屠蒙池乔闻党翟谭劳姬申扶冉郦桑桂牛寿边燕冀尚温庄晏柴瞿阎慕连习艾向古易廖终居步耿"
    "满匡文寇广阙东沃利越师巩聂晁敖融冷辛阚简饶曾关查游肖涂岳帅代付闫"
)
_NAME = (
    r"(?:(?:欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐)\p{Han}{1,2}|"
    rf"[{_SURNAMES}] ?\p{{Han}}{{1,2}}?|"
    r"\p{Han}{2,8}(?:·\p{Han}{1,8})+)"
)
_CUES = "姓名|名字|联系人|来电人|申请人|当事人|投诉人|举报人|反映人|经办人|诉求人|求助人|户主|法人代表|法定代表人"
_ENDS = (
    r"(?:$|[^\p{Han}]|电话|手机|联系|身份证|证件|号码|反映|来电|先生|女士|同志|家住|住在|称|咨询|投诉|求助|表示|的|【)"
)
#: Surnames that are common words too: after a bare cue (申请人于昨日…) they begin no name.
_SURE = "[" + "".join(sign for sign in _SURNAMES if sign not in "于向和时常应从全家安越成明解支广水有后已") + "]"
_SURE_NAME = _NAME.replace(f"[{_SURNAMES}]", _SURE)
#: What one says of oneself after one's name: only then 本人… and 我是… name someone.
_OF_ONESELF = r"(?:[,(\s]*(?:电话|手机|身份证|证件|联系|男|女|系|家住|现住|住|今年|户籍|籍贯|【))"
_CALLED, _MYSELF, _TITLES = "我叫|名叫", "本人|我是|我为", "先生|女士|同志"
#: Words of which one stands in every match, and texts around a name: before it (kept), the name, behind it (kept).
#: To make the machine of such a pattern takes longer than to look through a month's texts for the words.
_NAMES = (
    (rf"{_CALLED}|{_CUES}", rf"((?:{_CALLED}|(?:{_CUES})\s*(?:[::是为叫]|\s)[::是为叫\s]*)\s*)({_NAME})({_ENDS})"),
    (_CUES, rf"((?:{_CUES}))({_SURE_NAME})({_ENDS})"),
    (_MYSELF, rf"((?:{_MYSELF})[::\s]*)({_SURE_NAME})({_OF_ONESELF})"),
    (_TITLES, rf"(^|[^\p{{Han}}]|叫|是|为|找|和|与|向|对)([{_SURNAMES}]\p{{Han}}{{2}})({_TITLES})"),
)

#: What stands in the column of a name where nobody is named.
_NOBODY = "'匿名', '不详', '未知', '未提供', '本人', '市民', '群众', '居民', '来电人', '先生', '女士', '某某', '保密'"
#: What people put between the characters of a name.
_SPACES = r"[\s.·•・‧･_*-]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


#: To be executed once in the connection that ``redact`` is given.
MACROS = f"""
CREATE OR REPLACE MACRO bare_digits(c) AS
    regexp_replace(translate(upper(c), '{NUMERALS}', '{AS_DIGITS}'), '[^0-9X]', '', 'g');
CREATE OR REPLACE MACRO is_identity(d) AS
    length(d) = 18 AND try_strptime(substr(d, 7, 8), '%Y%m%d') BETWEEN DATE '1900-01-01' AND DATE '2100-01-01'
    AND substr('10X98765432', 1 + (list_sum(list_transform([7,9,10,5,8,4,2,1,6,3,7,9,10,5,8,4,2],
        lambda w, i: w * TRY_CAST(substr(d, i, 1) AS INTEGER))) % 11)::BIGINT, 1) = substr(d, 18, 1);
CREATE OR REPLACE MACRO is_grouped_identity(c) AS
    regexp_full_match(c, '{GROUPED}') AND is_identity(bare_digits(c)) AND NOT regexp_full_match(c, '{PERIODS}');
CREATE OR REPLACE MACRO is_phone(c) AS
    regexp_full_match(c, '{GROUPED}') AND NOT regexp_matches(c, '{DATE}') AND NOT regexp_full_match(c, '{ADDRESS}');
"""


def _replaced(
    connection: duckdb.DuckDBPyConnection, texts: pa.Array, pattern: str, keep: str, sign: str
) -> pa.Array | None:
    """The texts with every match of the pattern's second group that ``keep`` holds for replaced; None when none is."""
    hit = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    if not pc.any(hit).as_py():
        return None
    # The list functions run only for the rows that have a match at all.
    connection.register("hits", pa.table({"text": texts.filter(hit)}))
    # Of two numbers with one sign between them a match of the first has taken the sign: the second is seen when the
    # first is out of the way, whether it holds or not.
    all_in = f", {_quoted(pattern)}, 2)"
    rest = f"regexp_extract_all(list_reduce(found, lambda done, c: replace(done, c, chr(1)), text){all_in}"
    replaced = connection.sql(
        f"SELECT list_reduce(list_filter(list_concat(found, {rest}), lambda c: {keep}),"
        f" lambda done, c: replace(done, c, {_quoted(sign)}), text) AS text"
        f" FROM (SELECT text, regexp_extract_all(text{all_in} AS found FROM hits)"
    ).to_arrow_table()["text"]
    connection.unregister("hits")
    return pc.replace_with_mask(texts, hit, replaced.combine_chunks().cast(pa.string()))


def _without_own(connection: duckdb.DuckDBPyConnection, texts: pa.Array, own: Sequence[pa.ChunkedArray]) -> pa.Array:
    """The texts without what stands in the row's own personal columns, also where it is spaced in the text."""
    columns = {f"own_{number}": _plain(column) for number, column in enumerate(own)}
    connection.register("texts", pa.table({"text": texts} | columns))
    query = "SELECT * FROM texts"
    for name in columns:
        # Two characters are the shortest name; one would blot out common words. A pattern made of each row's name is
        # dear: only where the name is in the text once the gaps are gone, and not as it stands.
        bare = f"regexp_replace({name}, {_quoted(_SPACES)}, '', 'g')"
        spaced = f"array_to_string(list_transform(string_split({bare}, ''), lambda c: regexp_escape(c)), '{_SPACES}*')"
        query = f"""
            SELECT * REPLACE (CASE
                WHEN {name} IS NULL OR length({bare}) < 2 OR {name} IN ({_NOBODY}) THEN text
                WHEN contains(text, {name}) THEN replace(text, {name}, {_quoted(NAME)})
                WHEN contains(regexp_replace(text, {_quoted(_SPACES)}, '', 'g'), {bare})
                THEN regexp_replace(text, {spaced}, {_quoted(NAME)}, 'g')
                ELSE text END AS text) FROM ({query})"""
    result = connection.sql(query).to_arrow_table()["text"]
    connection.unregister("texts")
    return result.combine_chunks().cast(pa.string())


def _plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """What is looked at: the NFKC form without zero-width characters."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pc.replace_substring_regex(pc.utf8_normalize(whole.cast(pa.string()), form="NFKC"), ZERO_WIDTH, "")


def _without_numbers(connection: duckdb.DuckDBPyConnection, plain: pa.Array) -> pa.Array:
    """Plain texts without phones and ids; only the few that hold digits enough are searched."""
    candidate = pc.fill_null(pc.match_substring_regex(plain, ENOUGH_DIGITS), False)
    if not pc.any(candidate).as_py():
        return plain
    found = plain.filter(candidate)
    for step in STEPS:
        if (replaced := _replaced(connection, found, step.pattern, step.sql, step.sign)) is not None:
            found = replaced
    return pc.replace_with_mask(plain, candidate, found)


def redact(
    connection: duckdb.DuckDBPyConnection,
    values: pa.Array | pa.ChunkedArray,
    own: Sequence[pa.ChunkedArray] = (),
) -> pa.Array:
    """The texts without personal data, in their order, null for null.

    ``own``: the personal columns of the same rows in clear (names, phones), which are looked for in the text as such.
    """
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    whole = whole.cast(pa.string())
    if whole.null_count == len(whole):
        return whole
    plain = _plain(whole)
    found = _without_own(connection, plain, own) if own else plain
    found = _without_numbers(connection, found)
    for words, pattern in _NAMES:
        if pc.any(pc.match_substring_regex(found, words)).as_py():
            found = pc.replace_substring_regex(found, pattern, rf"\1{NAME}\3")
    return pc.if_else(pc.equal(found, plain), whole, found)


def redact_numbers(connection: duckdb.DuckDBPyConnection, values: pa.Array) -> pa.Array:
    """The texts without phones and ids, names left alone: for titles, item names, units, paths. Null for null."""
    plain = _plain(values)
    found = _without_numbers(connection, plain)
    return pc.if_else(pc.equal(found, plain), values, found)
