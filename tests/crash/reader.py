"""A process that reads the published warehouse over and over, and tells what it saw."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from farthing import config as configuration
from farthing.warehouse import POINTER, open_warehouse

#: Every place that says what the whole comes to, in each currency. They must agree.
_TOTALS = """
    select 'ledger' as place, BillingCurrency, sum(cost) from cost_ledger group by all
    union all select 'bill', BillingCurrency, sum(x_cost) from charges group by all
    union all select 'totals, bill', BillingCurrency, bill_cost from totals
    union all select 'totals, ledger', BillingCurrency, ledger_cost from totals
    union all select 'pool_month, bill', BillingCurrency, sum(bill_cost) from pool_month group by all
    union all select 'pool_month, ledger', BillingCurrency, sum(ledger_cost) from pool_month group by all
    union all select 'reconciliation', BillingCurrency, sum(file_cost) from reconciliation group by all
    union all select 'user_day', BillingCurrency, sum(cost) from user_day group by all
    union all select 'user_month', BillingCurrency, sum(cost) from user_month group by all
    union all select 'model_day', BillingCurrency, sum(cost) from model_day group by all
    union all select 'team_month', BillingCurrency, sum(cost) from team_month group by all
    union all select 'customer_month', BillingCurrency, sum(cost) from customer_month group by all
"""


def main(project: Path, done: Path) -> None:
    config = configuration.load(project)
    reads, seen, published, problems = 0, set(), set(), []
    while not done.exists():
        try:
            with open_warehouse(config) as con:
                rows = con.execute(_TOTALS).fetchall()
            published.add((Path(config.warehouse_path) / POINTER).read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001  whatever a reader may see counts
            problems.append(f"{type(error).__name__}: {error}")
            continue
        reads += 1
        time.sleep(0.02)  # leaves the machine to those who build
        if reads == 1:
            print("reading", flush=True)
        found = {(currency, str(cost)) for _, currency, cost in rows}
        if len(found) == 1 and len(rows) == 12:
            seen |= found
        else:
            problems.append(str(rows))
    told = {"reads": reads, "seen": sorted(seen), "published": len(published), "problems": problems[:5]}
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
