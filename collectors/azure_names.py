"""How Azure names what FOCUS names: columns of cost details in all header families, and categories of services."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What a charge has -> the names of its column in lower case. EA and MCA differ in case and by a few names, the legacy
#: form by more. The first one that a file has is taken; another stays a column of its own.
FIELDS: dict[str, tuple[str, ...]] = {
    "date": ("date", "usagedatetime", "usagedate"),
    "period_start": ("billingperiodstartdate",),
    "period_end": ("billingperiodenddate",),
    "cost": ("costinbillingcurrency", "pretaxcost", "cost", "extendedcost"),
    "currency": ("billingcurrency", "billingcurrencycode", "currency", "currencycode"),
    "list_cost": ("paygcostinbillingcurrency",),
    "quantity": ("quantity", "usagequantity", "consumedquantity"),
    "unit": ("unitofmeasure",),
    "unit_price": ("unitprice",),
    "list_price": ("paygprice",),
    "pricing_currency": ("pricingcurrency", "pricingcurrencycode"),
    "pricing_cost": ("costinpricingcurrency",),
    "account_id": ("billingaccountid",),
    "account_name": ("billingaccountname",),
    "subscription_id": ("subscriptionid", "subscriptionguid"),
    "subscription_name": ("subscriptionname",),
    "invoice_id": ("invoiceid",),
    "reseller": ("resellername",),
    "charge_type": ("chargetype",),
    "frequency": ("frequency",),
    "pricing_model": ("pricingmodel",),
    "publisher_type": ("publishertype",),
    "publisher": ("publishername",),
    "product": ("productname", "product"),
    "meter_id": ("meterid",),
    "meter": ("metername",),
    "category": ("metercategory",),
    "subcategory": ("metersubcategory",),
    "family": ("servicefamily",),
    "consumed_service": ("consumedservice",),
    "plan": ("planname",),
    "resource_id": ("resourceid", "instanceid"),
    "resource_name": ("resourcename", "instancename"),
    "resource_type": ("resourcetype",),
    "region": ("resourcelocation", "location"),
    "zone": ("availabilityzone",),
    "benefit_id": ("benefitid",),
    "benefit_name": ("benefitname",),
    "reservation_id": ("reservationid",),
    "reservation_name": ("reservationname",),
    "tags": ("tags",),
    "additional": ("additionalinfo",),
}
#: Fields whose text is in a FOCUS column unchanged; every other native column goes along as it is.
TAKEN = frozenset(
    "date period_start period_end cost currency list_cost quantity account_id account_name subscription_id "
    "subscription_name invoice_id product meter_id meter category region zone resource_id resource_name tags "
    "pricing_currency publisher".split()
)
#: Columns with numbers, where a localised file may write a decimal comma.
NUMBERS = ("cost", "list_cost", "quantity", "unit_price", "list_price", "pricing_cost")
_KNOWN = frozenset(name for names in FIELDS.values() for name in names) | {
    "effectiveprice", "resourcerate", "costinusd", "month", "day", "year", "resourcegroup", "resourcegroupname",
    "costcenter", "meterregion", "serviceinfo1", "serviceinfo2",
    "offerid", "servicename", "servicetier", "invoicesection", "accountownerid",
    "accountname", "departmentname", "partnumber", "term", "invoicesectionname", "invoicesectionid",
}  # fmt: skip
#: A name in another language has the English one in brackets: "Kosten (Cost)", in Asia also in wide ones.
_BRACKETED = re.compile(r"(.*?)\s*[(\uff08]\s*([^()\uff08\uff09]+?)\s*[)\uff09]")
_APART = re.compile(r"[ -]")  # "Instance ID", "Meter Sub-Category": the portal of old enrolments

FOCUS_CATEGORIES = {
    "AI and Machine Learning": "ai + machine learning|azure machine learning|cognitive services|azure openai|"
    "azure openai service|foundry models|foundry tools|azure ai foundry|azure ai services|machine learning service|"
    "azure cognitive search|azure ai search|azure applied ai services|azure bot service",
    "Analytics": "analytics|azure databricks|azure synapse analytics|azure data factory|azure data factory v2|"
    "hdinsight|power bi|power bi embedded|stream analytics|microsoft fabric|azure data explorer|event hubs|"
    "azure purview",
    "Compute": "compute|containers|virtual machines|virtual machines licenses|azure kubernetes service|functions|"
    "container instances|container registry|azure container apps|batch|cloud services|azure vmware solution|"
    "specialized compute|azure spring cloud|virtual machine scale sets|azure red hat openshift",
    "Databases": "databases|sql database|sql managed instance|azure cosmos db|azure database for mysql|"
    "azure database for postgresql|azure database for mariadb|redis cache|azure cache for redis|"
    "sql server stretch database",
    "Developer Tools": "developer tools|azure devops|github|github ae|visual studio subscription|azure lab services",
    "Identity": "azure active directory|azure active directory b2c|azure active directory for external identities|"
    "microsoft entra id|azure active directory domain services",
    "Integration": "integration|api management|logic apps|service bus|event grid",
    "Internet of Things": "internet of things|iot hub|iot central|digital twins|time series insights",
    "Management and Governance": "management and governance|log analytics|azure monitor|automation|azure site recovery|"
    "backup|application insights|azure policy|azure grafana service|insight and analytics",
    "Media": "media|media services|content delivery network media",
    "Migration": "migration|azure migrate|azure database migration service|data box",
    "Mobile": "mobile|notification hubs|visual studio mobile center",
    "Networking": "networking|bandwidth|virtual network|load balancer|vpn gateway|azure dns|expressroute|nat gateway|"
    "application gateway|azure firewall|azure front door service|content delivery network|traffic manager|"
    "network watcher|azure bastion|virtual wan|azure ddos protection|ip addresses",
    "Security": "security|advanced threat protection|advanced data security|key vault|security center|sentinel|"
    "microsoft defender for cloud|azure sentinel|microsoft sentinel|azure dedicated hsm",
    "Storage": "storage|azure netapp files|azure data lake storage|storsimple|azure hpc cache",
    "Web": "web|azure app service|signalr|azure maps|azure static web apps|azure web pubsub|"
    "azure communication services",
}
#: Meter category or service family, in lower case -> ServiceCategory.
CATEGORY_OF = {name: category for category, names in FOCUS_CATEGORIES.items() for name in names.split("|")}
#: Whoever consumed it decides first: a disk of a machine learning workspace is machine learning. FOCUS gives a service
#: one category, so that the service is the one that consumed it.
ML_SERVICES = {
    "microsoft.machinelearningservices": "Azure Machine Learning",
    "microsoft.machinelearning": "Azure Machine Learning",
    "microsoft.cognitiveservices": "Azure AI services",
}


def english(columns: Iterable[str]) -> tuple[dict[str, str], bool]:
    """Column -> its English name, and whether any was in another language.

    Two columns of one name keep it with a number behind it, so that none is lost.
    """
    names: dict[str, str] = {}
    seen: set[str] = set()
    localised = False
    for column in columns:
        name = column.strip().lstrip("\ufeff")
        parts = _BRACKETED.fullmatch(name)
        if parts:
            outside, inside = parts.groups()
            known = next((one for one in (inside, outside) if _joined(one) in _KNOWN), None)
            if known or inside.isidentifier():
                name, localised = known or inside, True
        plain, number = name, 2
        while name.lower() in seen:
            name, number = f"{plain}_{number}", number + 1
        seen.add(name.lower())
        names[column] = name
    return names, localised


def fields_of(names: Iterable[str]) -> dict[str, str]:
    """Field -> the (English) column that has it; fields that no column has are absent."""
    by_lower = {_joined(name): name for name in names}
    found = {field: next((by_lower[one] for one in ways if one in by_lower), None) for field, ways in FIELDS.items()}
    return {field: name for field, name in found.items() if name is not None}


def _joined(name: str) -> str:
    """A name in lower case, as one word."""
    return _APART.sub("", name.lower())
