"""Names of months and days of the week as Windows prints them in Western European languages, and the signs for year,
month, day and time in Chinese, Japanese and Korean."""

import re

_MONTHS = (
    "january jan januar jänner janvier janv januari gennaio gen enero ene janeiro",
    "february feb februar février fevrier févr fevr februari febbraio febrero fevereiro fev",
    "march mar märz marz mrz mär mars marzo maart mrt março marco marts",
    "april apr avril avr aprile abril abr",
    "may mai maggio mag mayo maio mei maj",
    "june jun juni juin giugno giu junio junho",
    "july jul juli juillet juil luglio lug julio julho",
    "august aug août aout agosto ago augustus augusti",
    "september sep sept septembre settembre set septiembre setembro",
    "october oct oktober okt octobre ottobre ott octubre outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre decembre déc dicembre dic diciembre dezembro",
)
_DAYS = (
    "monday mon montag mo lundi lun lunedì lunedi lunes segunda segunda-feira seg maandag ma mandag måndag mån man",
    "tuesday tue tues dienstag di mardi mar martedì martedi martes terça terça-feira ter dinsdag tirsdag tisdag tis",
    "wednesday wed mittwoch mi mercredi mer mercoledì mercoledi miércoles miercoles mié quarta quarta-feira qua"
    " woensdag wo onsdag ons",
    "thursday thu thur thurs donnerstag do jeudi jeu giovedì giovedi gio jueves jue quinta quinta-feira qui donderdag"
    " torsdag tor",
    "friday fri freitag fr vendredi ven venerdì venerdi viernes vie sexta sexta-feira sex vrijdag vr fredag fre",
    "saturday sat samstag sa sonnabend samedi sam sabato sab sábado sabado sáb zaterdag za lørdag lördag lør lör",
    "sunday sun sonntag so dimanche dim domenica dom domingo zondag zo søndag söndag søn sön",
)

_DAY = re.compile(r"(?<!\d)(\d{4})[ ]?[年년][ ]?(\d{1,2})[ ]?[月월][ ]?(\d{1,2})[ ]?(?:[日일号號]|(?=[^\d]))")
_CLOCK = re.compile(
    r"(?<!\d)(\d{1,2})[ ]?[時时시點点][ ]?(\d{1,2})[ ]?[分분](?:[ ]?(\d{1,2})[ ]?[秒초])?"  # 13時15分30秒
)
_HALF = re.compile(r"(午前|上午|오전|午後|下午|오후)[ ]?(\d{1,2})(?=:\d{2}(?!\d))")
_AFTERNOON = frozenset({"午後", "下午", "오후"})
_NOON = 12
EASTERN_PAGES = ("cp932", "cp936", "cp949", "cp950")  # in which a command prompt of these countries writes


def without_signs(line: str) -> str:
    """A line in which ``2026年3月2日 午後 1:15`` stands as ``2026-3-2 13:15``; other text stays as it is."""
    line = _DAY.sub(r"\1-\2-\3 ", line)
    line = _CLOCK.sub(lambda m: f"{m[1]}:{int(m[2]):02}" + (f":{int(m[3]):02}" if m[3] else ""), line)
    return _HALF.sub(_hour, line)


def _hour(match: re.Match[str]) -> str:
    hour = int(match[2])
    if hour > _NOON:
        return match[0]
    return str(hour % _NOON + (_NOON if match[1] in _AFTERNOON else 0))


MONTHS = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
DAYS = {word: number for number, words in enumerate(_DAYS) for word in words.split()}  # Monday is 0
