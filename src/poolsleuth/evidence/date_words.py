"""Names of months and days of the week as Windows prints them in Western European languages."""

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

MONTHS = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
DAYS = {word: number for number, words in enumerate(_DAYS) for word in words.split()}  # Monday is 0
