"""OpenStreetView-5M: where and when each street view was taken, and whom to credit.

Images lie at `images/train/00.zip`, `ID.jpg` each; the table `metadata` has a row for each ID.
Place and year are context: a caption must not claim to see them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

from recaption import storage
from recaption.config import SourceConfig
from recaption.datasets import UNKNOWN, HintReader, Table, Tables
from recaption.datasets.index import Index, Rows, open_index
from recaption.notices import note
from recaption.sample import Hint, HintKind, Hints, Sample, Trust
from recaption.text import printable

TABLES: tuple[Table, ...] = (
    Table("metadata", "train.csv or test.csv of OSV-5M, for the images' split", is_required=True),
)
_VERSION = 1  # of the index
_COLUMNS = ("city", "sub-region", "region", "country", "captured_at", "creator_username")
_ID = re.compile(r"[0-9]{10,20}")
_MISSING = frozenset(("", "NaN", "nan"))  # not "Nan", a province, nor "NA", Namibia's code
_YEARS = range(1990, 2100)

_COUNTRIES = """\
AD Andorra;AE United Arab Emirates;AF Afghanistan;AG Antigua and Barbuda;AI Anguilla;AL Albania;
AM Armenia;AO Angola;AQ Antarctica;AR Argentina;AS American Samoa;AT Austria;AU Australia;AW Aruba;
AX Åland Islands;AZ Azerbaijan;BA Bosnia and Herzegovina;BB Barbados;BD Bangladesh;BE Belgium;
BF Burkina Faso;BG Bulgaria;BH Bahrain;BI Burundi;BJ Benin;BL Saint Barthélemy;BM Bermuda;
BN Brunei;BO Bolivia;BQ Caribbean Netherlands;BR Brazil;BS Bahamas;BT Bhutan;BV Bouvet Island;
BW Botswana;BY Belarus;BZ Belize;CA Canada;CC Cocos Islands;CD Democratic Republic of the Congo;
CF Central African Republic;CG Republic of the Congo;CH Switzerland;CI Ivory Coast;
CK Cook Islands;CL Chile;CM Cameroon;CN China;CO Colombia;CR Costa Rica;CU Cuba;CV Cape Verde;
CW Curaçao;CX Christmas Island;CY Cyprus;CZ Czechia;DE Germany;DJ Djibouti;DK Denmark;DM Dominica;
DO Dominican Republic;DZ Algeria;EC Ecuador;EE Estonia;EG Egypt;EH Western Sahara;ER Eritrea;
ES Spain;ET Ethiopia;FI Finland;FJ Fiji;FK Falkland Islands;FM Micronesia;FO Faroe Islands;
FR France;GA Gabon;GB United Kingdom;GD Grenada;GE Georgia;GF French Guiana;GG Guernsey;GH Ghana;
GI Gibraltar;GL Greenland;GM Gambia;GN Guinea;GP Guadeloupe;GQ Equatorial Guinea;GR Greece;
GS South Georgia and the South Sandwich Islands;GT Guatemala;GU Guam;GW Guinea-Bissau;GY Guyana;
HK Hong Kong;HM Heard Island and McDonald Islands;HN Honduras;HR Croatia;HT Haiti;HU Hungary;
ID Indonesia;IE Ireland;IL Israel;IM Isle of Man;IN India;IO British Indian Ocean Territory;
IQ Iraq;IR Iran;IS Iceland;IT Italy;JE Jersey;JM Jamaica;JO Jordan;JP Japan;KE Kenya;
KG Kyrgyzstan;KH Cambodia;KI Kiribati;KM Comoros;KN Saint Kitts and Nevis;KP North Korea;
KR South Korea;KW Kuwait;KY Cayman Islands;KZ Kazakhstan;LA Laos;LB Lebanon;LC Saint Lucia;
LI Liechtenstein;LK Sri Lanka;LR Liberia;LS Lesotho;LT Lithuania;LU Luxembourg;LV Latvia;LY Libya;
MA Morocco;MC Monaco;MD Moldova;ME Montenegro;MF Saint Martin;MG Madagascar;MH Marshall Islands;
MK North Macedonia;ML Mali;MM Myanmar;MN Mongolia;MO Macau;MP Northern Mariana Islands;
MQ Martinique;MR Mauritania;MS Montserrat;MT Malta;MU Mauritius;MV Maldives;MW Malawi;MX Mexico;
MY Malaysia;MZ Mozambique;NA Namibia;NC New Caledonia;NE Niger;NF Norfolk Island;NG Nigeria;
NI Nicaragua;NL Netherlands;NO Norway;NP Nepal;NR Nauru;NU Niue;NZ New Zealand;OM Oman;PA Panama;
PE Peru;PF French Polynesia;PG Papua New Guinea;PH Philippines;PK Pakistan;PL Poland;
PM Saint Pierre and Miquelon;PN Pitcairn Islands;PR Puerto Rico;PS Palestine;PT Portugal;PW Palau;
PY Paraguay;QA Qatar;RE Réunion;RO Romania;RS Serbia;RU Russia;RW Rwanda;SA Saudi Arabia;
SB Solomon Islands;SC Seychelles;SD Sudan;SE Sweden;SG Singapore;SH Saint Helena;SI Slovenia;
SJ Svalbard and Jan Mayen;SK Slovakia;SL Sierra Leone;SM San Marino;SN Senegal;SO Somalia;
SR Suriname;SS South Sudan;ST São Tomé and Príncipe;SV El Salvador;SX Sint Maarten;SY Syria;
SZ Eswatini;TC Turks and Caicos Islands;TD Chad;TF French Southern Territories;TG Togo;TH Thailand;
TJ Tajikistan;TK Tokelau;TL Timor-Leste;TM Turkmenistan;TN Tunisia;TO Tonga;TR Turkey;
TT Trinidad and Tobago;TV Tuvalu;TW Taiwan;TZ Tanzania;UA Ukraine;UG Uganda;
UM United States Minor Outlying Islands;US United States;UY Uruguay;UZ Uzbekistan;VA Vatican City;
VC Saint Vincent and the Grenadines;VE Venezuela;VG British Virgin Islands;VI US Virgin Islands;
VN Vietnam;VU Vanuatu;WF Wallis and Futuna;WS Samoa;XK Kosovo;YE Yemen;YT Mayotte;ZA South Africa;
ZM Zambia;ZW Zimbabwe"""
COUNTRIES = {entry[:2]: entry[3:] for entry in _COUNTRIES.replace("\n", "").split(";")}
"""English short names by ISO 3166 code, and Kosovo's, which has none there."""


def sample_id(sample: Sample) -> str:
    """Return the image's id, which is its file's name; "" for a file of another make."""
    stem = sample.stem
    return stem if _ID.fullmatch(stem) else ""


def open_reader(tables: Tables, source: SourceConfig) -> HintReader:
    """Return the function from a sample to its hints. Raises RecipeError for an odd table."""
    index = open_index("osv5m", _VERSION, [tables.path("metadata")], lambda: _rows(tables))
    return lambda sample: hints(sample, index)


def hints(sample: Sample, index: Index) -> Hints:
    """Return place, year and credits of an image; of a file of another make nothing."""
    own = sample_id(sample)
    if not own:
        note(UNKNOWN, sample.sample_id)
        return Hints(source="osv5m")
    found = index.get(own)
    if not found:
        note(UNKNOWN, sample.sample_id)
    cells = cast(list[str], json.loads(found[0])) if found else [""] * len(_COLUMNS)
    return Hints(others=tuple(_others(*cells)), source="osv5m")


def _others(
    city: str, sub_region: str, region: str, country: str, captured_at: str, creator: str
) -> Iterator[Hint]:
    place = _place(city, sub_region, region, COUNTRIES.get(country.upper(), ""))
    year = _year(captured_at)
    if place:
        yield Hint(HintKind.CONTEXT, f"taken in {place}")
    if year:
        yield Hint(HintKind.CONTEXT, f"taken in {year}")
    if creator not in _MISSING:
        yield Hint(HintKind.AUTHOR, f"Mapillary: {creator}", Trust.HIGH)
    yield Hint(HintKind.LICENCE, "CC BY-SA 4.0", Trust.HIGH)


def _place(*parts: str) -> str:
    """Return the parts that are known, from the smallest, each once: Singapore is all of them."""
    known = {part.casefold(): part for part in reversed(parts) if part not in _MISSING}
    return ", ".join(reversed(known.values()))


def _year(captured_at: str) -> str:
    """Return the year of milliseconds since 1970; "" where that is no plausible one."""
    try:
        year = datetime.fromtimestamp(float(captured_at) / 1000, UTC).year
    except (ValueError, OverflowError, OSError):
        return ""
    return str(year) if year in _YEARS else ""


def _rows(tables: Tables) -> Rows:
    """Yield the rows of the index, what counts of each as JSON. Raises RecipeError."""
    expected = f"the CSV of OSV-5M, with a header that has id, {', '.join(_COLUMNS)}"
    with (
        storage.open_read(tables.path("metadata")) as stream,
        io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="") as text,
    ):
        rows = csv.reader(text)
        count = 0
        try:
            header = next(rows, [])
            if not {"id", *_COLUMNS} <= set(header):
                raise tables.fail("metadata", repr(",".join(header)[:120]), expected)
            for own, value in _cells(rows, header):
                count += 1
                yield own, value
        except csv.Error as error:
            got = f"line {rows.line_num:,}, which is no CSV ({error})"
            raise tables.fail("metadata", got, expected) from error
        if not count:
            raise tables.fail("metadata", "no row with an id", "rows whose id is 16 to 18 digits")


def _cells(rows: Iterator[list[str]], header: list[str]) -> Rows:
    """Yield the rows that have an id; a cell that a short row lacks is empty."""
    at_id, *at = (header.index(name) for name in ("id", *_COLUMNS))
    for row in rows:
        row += [""] * (len(header) - len(row))
        own = row[at_id].strip()
        if _ID.fullmatch(own):
            yield own, json.dumps([printable(row[i]) for i in at])
