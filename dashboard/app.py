"""The dashboard's frame: one file per page, and a page that helps where there is nothing to show yet."""

from __future__ import annotations

import duckdb
import streamlit as st

from dashboard import agents, anomalies, bills, customers, forecast, gpus, model_costs, overview, pricing, whatif
from dashboard.published import project_folder
from farthing.errors import ConfigError, FarthingError
from farthing.warehouse import WarehouseMissingError

#: Drawn here, because an icon by name would be fetched from elsewhere.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#24577a"/>'
    '<path d="M5 4h6v2H7v1.5h3v2H7V12H5z" fill="#fff"/></svg>'
)
_STYLE = """
<style>
  .block-container { padding: 4rem 2rem 3rem; max-width: 1500px; }
  h1 { font-size: 1.5rem !important; padding: 0 !important; }
  h3 { font-size: 1rem !important; padding: 0.6rem 0 0.3rem !important; font-weight: 600 !important; }
  [data-testid="stMetricValue"] { font-size: 1.3rem; font-variant-numeric: tabular-nums; }
  [data-testid="stMetricLabel"] { color: #5c6a76; }
</style>
"""


def main() -> None:
    """Draw the chosen page; what a reader can mend is said in words."""
    st.set_page_config(page_title="farthing", page_icon=_ICON, layout="wide")
    st.html(_STYLE)
    page = st.navigation(
        [
            st.Page(overview.page, title="Overview", default=True),
            st.Page(customers.page, title="Users and customers", url_path="customers"),
            st.Page(model_costs.page, title="Models", url_path="models"),
            st.Page(gpus.page, title="GPUs", url_path="gpus"),
            st.Page(agents.page, title="Agents and tasks", url_path="agents"),
            st.Page(forecast.page, title="Forecast", url_path="forecast"),
            st.Page(anomalies.page, title="Anomalies and budgets", url_path="anomalies"),
            st.Page(pricing.page, title="Pricing", url_path="pricing"),
            st.Page(whatif.page, title="What-if", url_path="what-if"),
            st.Page(bills.page, title="Bills and reconciliation", url_path="bills"),
        ],
        position="top",
    )
    try:
        page.run()
    except WarehouseMissingError:
        _nothing_published()
    except ConfigError as error:
        st.title("This folder is no farthing project")
        st.error(error.problem + " " + error.fix)
        st.code("farthing init\nfarthing dashboard --project FOLDER", language="shell")
    except (FarthingError, duckdb.Error) as error:
        st.title("The published warehouse cannot be read")
        st.text(str(error))
        st.markdown("It may have been made by another version of farthing; a build makes it anew:")
        st.code(f"farthing build --project {project_folder()}", language="shell")


def _nothing_published() -> None:
    st.title("Nothing is published yet")
    st.markdown("The dashboard shows what a build has published. Collect the sources and build, then reload this page:")
    st.code(f"cd {project_folder()}\nfarthing collect\nfarthing build", language="shell")
    st.markdown("Just looking? `farthing demo` makes a simulated company and opens its dashboard.")


main()
