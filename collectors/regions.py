"""Display names of the regions of AWS, Google Cloud and Azure, by the ids that they give them."""

from __future__ import annotations

import polars as pl

#: As AWS writes them in its bills (`product/location`).
AWS = {
    "af-south-1": "Africa (Cape Town)",
    "ap-east-1": "Asia Pacific (Hong Kong)",
    "ap-east-2": "Asia Pacific (Taipei)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-2": "Asia Pacific (Seoul)",
    "ap-northeast-3": "Asia Pacific (Osaka)",
    "ap-south-1": "Asia Pacific (Mumbai)",
    "ap-south-2": "Asia Pacific (Hyderabad)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
    "ap-southeast-2": "Asia Pacific (Sydney)",
    "ap-southeast-3": "Asia Pacific (Jakarta)",
    "ap-southeast-4": "Asia Pacific (Melbourne)",
    "ap-southeast-5": "Asia Pacific (Malaysia)",
    "ap-southeast-6": "Asia Pacific (New Zealand)",
    "ap-southeast-7": "Asia Pacific (Thailand)",
    "ca-central-1": "Canada (Central)",
    "ca-west-1": "Canada West (Calgary)",
    "cn-north-1": "China (Beijing)",
    "cn-northwest-1": "China (Ningxia)",
    "eu-central-1": "EU (Frankfurt)",
    "eu-central-2": "EU (Zurich)",
    "eu-north-1": "EU (Stockholm)",
    "eu-south-1": "EU (Milan)",
    "eu-south-2": "EU (Spain)",
    "eu-west-1": "EU (Ireland)",
    "eu-west-2": "EU (London)",
    "eu-west-3": "EU (Paris)",
    "il-central-1": "Israel (Tel Aviv)",
    "me-central-1": "Middle East (UAE)",
    "me-south-1": "Middle East (Bahrain)",
    "mx-central-1": "Mexico (Central)",
    "sa-east-1": "South America (Sao Paulo)",
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-gov-east-1": "AWS GovCloud (US-East)",
    "us-gov-west-1": "AWS GovCloud (US-West)",
    "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)",
}
GOOGLE = {
    "africa-south1": "Johannesburg",
    "asia-east1": "Taiwan",
    "asia-east2": "Hong Kong",
    "asia-northeast1": "Tokyo",
    "asia-northeast2": "Osaka",
    "asia-northeast3": "Seoul",
    "asia-south1": "Mumbai",
    "asia-south2": "Delhi",
    "asia-southeast1": "Singapore",
    "asia-southeast2": "Jakarta",
    "australia-southeast1": "Sydney",
    "australia-southeast2": "Melbourne",
    "europe-central2": "Warsaw",
    "europe-north1": "Finland",
    "europe-north2": "Stockholm",
    "europe-southwest1": "Madrid",
    "europe-west1": "Belgium",
    "europe-west10": "Berlin",
    "europe-west12": "Turin",
    "europe-west2": "London",
    "europe-west3": "Frankfurt",
    "europe-west4": "Netherlands",
    "europe-west6": "Zurich",
    "europe-west8": "Milan",
    "europe-west9": "Paris",
    "me-central1": "Doha",
    "me-central2": "Dammam",
    "me-west1": "Tel Aviv",
    "northamerica-northeast1": "Montreal",
    "northamerica-northeast2": "Toronto",
    "northamerica-south1": "Mexico",
    "southamerica-east1": "Sao Paulo",
    "southamerica-west1": "Santiago",
    "us-central1": "Iowa",
    "us-east1": "South Carolina",
    "us-east4": "Northern Virginia",
    "us-east5": "Columbus",
    "us-south1": "Dallas",
    "us-west1": "Oregon",
    "us-west2": "Los Angeles",
    "us-west3": "Salt Lake City",
    "us-west4": "Las Vegas",
}
#: An id of Azure is the name in lower case without blanks; bills also turn the words round ("US East", "EU West").
_AZURE_NAMES = (
    "Australia Central, Australia Central 2, Australia East, Australia Southeast, Austria East, Belgium "
    "Central, Brazil South, Brazil Southeast, Canada Central, Canada East, Central India, Central US, Chile "
    "Central, China East, China East 2, China East 3, China North, China North 2, China North 3, Denmark East, "
    "East Asia, East US, East US 2, East US 3, France Central, France South, Germany North, Germany West "
    "Central, Indonesia Central, Israel Central, Italy North, Japan East, Japan West, Jio India Central, Jio "
    "India West, Korea Central, Korea South, Malaysia West, Mexico Central, New Zealand North, North Central "
    "US, North Europe, Norway East, Norway West, Poland Central, Qatar Central, South Africa North, South "
    "Africa West, South Central US, South India, Southeast Asia, Spain Central, Sweden Central, Sweden South, "
    "Switzerland North, Switzerland West, UAE Central, UAE North, UK South, UK West, USDoD Central, USDoD "
    "East, USGov Arizona, USGov Texas, USGov Virginia, West Central US, West Europe, West India, West US, West "
    "US 2, West US 3"
).split(", ")
AZURE = {name.lower().replace(" ", ""): name for name in _AZURE_NAMES}
_AZURE_TURNED = {
    "AP East": "eastasia", "AP Southeast": "southeastasia", "EU North": "northeurope", "EU West": "westeurope",
    "AE Central": "uaecentral", "AE North": "uaenorth", "AU Central": "australiacentral",
    "AU Central 2": "australiacentral2", "AU East": "australiaeast", "AU Southeast": "australiasoutheast",
    "BR South": "brazilsouth", "BR Southeast": "brazilsoutheast",
    "CA Central": "canadacentral", "CA East": "canadaeast",
    "CH North": "switzerlandnorth", "CH West": "switzerlandwest", "CN East": "chinaeast", "CN East 2": "chinaeast2",
    "CN East 3": "chinaeast3", "CN North": "chinanorth", "CN North 2": "chinanorth2", "CN North 3": "chinanorth3",
    "DE North": "germanynorth", "DE West Central": "germanywestcentral", "ES Central": "spaincentral",
    "FR Central": "francecentral", "FR South": "francesouth", "IL Central": "israelcentral",
    "IN Central": "centralindia",
    "IN South": "southindia", "IN West": "westindia", "IT North": "italynorth", "JA East": "japaneast",
    "JA West": "japanwest", "KR Central": "koreacentral", "KR South": "koreasouth", "MX Central": "mexicocentral",
    "NO East": "norwayeast", "NO West": "norwaywest", "NZ North": "newzealandnorth", "PL Central": "polandcentral",
    "QA Central": "qatarcentral", "SE Central": "swedencentral", "SE South": "swedensouth",
    "US Central": "centralus", "US East": "eastus", "US East 2": "eastus2", "US East 3": "eastus3",
    "US North Central": "northcentralus", "US South Central": "southcentralus", "US West": "westus",
    "US West 2": "westus2", "US West 3": "westus3", "US West Central": "westcentralus",
    "US Gov AZ": "usgovarizona", "US Gov TX": "usgovtexas", "US Gov Virginia": "usgovvirginia",
}  # fmt: skip
_AZURE_ID = {
    **{name.lower(): one for one, name in AZURE.items()},
    **{name.lower(): one for name, one in _AZURE_TURNED.items()},
}


def named(region: pl.Expr, names: dict[str, str]) -> pl.Expr:
    """The display name of a region by its id; null where the table does not have it."""
    return region.replace_strict(names, default=None, return_dtype=pl.String)


def azure_id(region: pl.Expr) -> pl.Expr:
    """The id of a region of Azure, whichever way it is written; null for a name with blanks that is not known."""
    plain = region.str.to_lowercase().str.strip_chars()
    known = plain.replace_strict(_AZURE_ID, default=None, return_dtype=pl.String)
    return pl.coalesce(known, plain.str.extract(r"^([a-z0-9]+)$"))
