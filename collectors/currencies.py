"""The currencies a bill or a price can be in: ISO 4217 codes that were legal tender somewhere since 2015.

A list of our own rather than a package: it changes about once a year, and CLDR (babel's
`territory_currencies`), which it was made from, is 10 MB.
"""

from __future__ import annotations

CURRENCIES = frozenset(
    """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BYR BZD CAD CDF CHF
CLP CNY COP CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK
HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRO MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STD STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
USD UYU UZS VEF VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL
""".split()
)

#: Currencies that are gone for longer, and that the reference rates of the ECB since 1999 have.
FORMER = frozenset("CYP EEK LTL LVL MTL ROL SIT SKK TRL".split())


def unknown_sql(column: str) -> str:
    """SQL that is true where `column` (quoted) is no such code."""
    codes = ", ".join(f"'{code}'" for code in sorted(CURRENCIES))
    return f"{column} not in ({codes})"
