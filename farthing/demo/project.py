"""The simulated company's farthing.toml, written so that a newcomer learns the file from it."""

import tomllib

TOML = """\
# SIMULATED: the company, its people, its requests and its bills are made up by `farthing demo`.
# This is a whole project: the keys are those that you would write for your own company.

[project]
name = "acme (simulated)"
currency = "USD"                # what reports lead with; other currencies stand beside it, never added

[warehouse]
request_days = 31               # single requests of so many days can be looked up; the ledger keeps all days

# --- Sources: what `farthing collect` reads into the lake. `kind` says what a file holds. -----------------------

[sources.bill]                  # every bill in the FOCUS format: three clouds, two model vendors, SaaS, the own rack
kind = "focus"
path = ["bills/*.csv", "bills/*.csv.gz"]

[sources.labour]                # what no vendor bills in FOCUS, typed from invoices: month, service, amount, team
kind = "costs"
path = "costs.csv"

[sources.serving]               # requests to our own models; columns already have farthing's names
kind = "requests"
path = "requests/serving-*.parquet"
constants = { provider = "vllm", service_tier = "standard", usage_quality = "reported" }
token_convention = "inclusive"  # input contains cached tokens, output contains reasoning tokens

[sources.gateway]               # requests to model vendors, from a gateway that calls some columns otherwise
kind = "requests"
path = "requests/gateway-*.parquet"
constants = { service_tier = "standard" }
token_convention = "inclusive"
[sources.gateway.columns]       # ours = theirs, where the names differ
started_at = "start_time"
first_token_at = "first_token_time"
ended_at = "end_time"
model = "requested_model"

[sources.gpu]                   # what each GPU did: busy seconds of every five minutes, later of every ten seconds
kind = "gpu_usage"
path = "gpu/*.parquet"

[sources.inventory]             # which GPU stands in which billed machine and serves which replica
kind = "gpu_inventory"
path = "inventory.csv"

[sources.people]                # service accounts and users -> user, customer, team, plan, cost center
kind = "identities"
path = "identities.csv"

[sources.jobs]                  # training runs
kind = "jobs"
path = "jobs.csv"

[sources.metrics]               # quantities that only you know: vectors and gigabytes stored, tickets solved
kind = "metrics"
path = "metrics.parquet"

[sources.revenue]               # what customers pay
kind = "revenue"
path = "revenue.csv"

[sources.plan]                  # what finance planned: teams, and GPU hours of the inference fleet by cloud
kind = "budgets"
path = "budgets.csv"

# --- People: who stands for nobody, and where teams stand in the company. ----------------------------------------

[identities]
sentinel_users = ["", "anonymous", "default_user_id"]

[teams.support]
cost_center = "CC-100"
department = "Product/Support"

[teams.platform]
cost_center = "CC-200"
department = "Engineering/Platform"

[teams.research]
cost_center = "CC-300"
department = "Engineering/Research"

[teams.finance]
cost_center = "CC-900"
department = "Administration"

# --- What the company counts its work in: the cost of one of it stands beside that of a request. -------------------

[units.ticket]
metric = "tickets_solved"
[units.stored_vector]
metric = "vectors_stored"
measure = "mean"                # a level: its mean over the days of the month, not their sum

# --- Models that training produced: their training is written off over so many months. ---------------------------

[models.acme-support-70b]
released = 2026-07-01
life_months = 12

[models.acme-summary-8b]
released = 2026-08-01
life_months = 12

# --- What stands out: users of the coding assistant pay 20 dollars a month, so nobody should cost 5 in a week. ------

[anomalies]
user_limits = { coding = 5 }
user_limit_days = 7

# --- Budgets beside the plan of finance: farthing says what is crossed, and blocks nothing. ------------------------

[[budgets]]                     # `farthing budgets` shows all of them
name = "everything"
amount = 140_000

[[budgets]]                     # a coding seat costs 20 a month: whoever uses more than 25 in any 7 days is named
name = "coding-user"
scope = { user = "*", model = "gpt-5" }
amount = 25
window_days = 7
thresholds = { actual = [100] }

# --- Who is told by `farthing run`, and the report that finance gets on the third of each month. -------------------

[alerts.channels.terminal]      # others are slack, email and webhook: docs/alerts.md
kind = "stdout"

[[reports]]
name = "finance"
kind = "monthly"
format = "html"
schedule = "0 7 3 * *"          # minute, hour, day of the month, month, day of the week
recipients = ["file"]

# --- Prices that you know: an estimate, marked provisional, until the bill comes. The bill always wins. -----------
# nimbus-preview has no price here on purpose: what it cost shows as `unpriced`.

[[prices]]
model = "claude-opus-4-1*"
provider = "anthropic"
input = 14.25                   # per million tokens
cached_input = 1.425
output = 71.25

[[prices]]
model = "gpt-5"
provider = "openai"
input = 1.25
cached_input = 0.125
output = 10

[[prices]]                      # the vendor raised its prices; the entry that began last counts
model = "gpt-5"
provider = "openai"
input = 1.5625
cached_input = 0.15625
output = 12.5
valid_from = 2026-08-01

[[prices]]
gpu_model = "*A100*"
resource = ["i-serve-*", "gke-serve-*"]
gpu_hour = 2.75
pool = "inference"

# --- Pools: which charges belong together, and how they reach people. The first pool that matches takes a charge. --
# `class` keeps cost of sales (cogs), research (rnd) and overhead (opex) apart; `gl_account` is for the journal.

[[pools]]                       # start-up credits: kept apart, so that the cost of sales is shown before them
name = "credits"
kind = "owned"
class = "opex"
gl_account = "7100"
owner = "team:finance"
match = { ChargeCategory = "Credit" }

[[pools]]
name = "tax"
kind = "shared"
class = "opex"
gl_account = "6900"
driver = "fixed"
weights = { finance = 1 }
match = { ChargeCategory = "Tax" }

[[pools]]                       # our inference fleet: split by what each request took of the GPUs
name = "inference"
kind = "gpu"
class = "cogs"
gl_account = "5010"
match = { ServiceCategory = "Compute", ResourceId = ["i-serve-*", "gke-serve-*", "i-bench-*"] }
method = "phase_time"           # docs/methods.md; others: gpu_seconds, tokens, requests
idle = "separate"               # idle time is a line of its own, carried by the team that owns the replica

[[pools]]                       # a rack of our own, at the hourly cost of our books
name = "rack"
kind = "gpu"
class = "cogs"
gl_account = "5015"
match = { ProviderName = "Acme rack" }

[[pools]]                       # spot machines for training: paid by the runs; research, not cost of sales
name = "training"
kind = "training"
class = "rnd"
gl_account = "6010"
match = { ServiceCategory = "Compute", ResourceId = "vm-train-*" }

[[pools]]                       # a model vendor: its bill of a day is shared by the tokens of that day's requests
name = "llm-anthropic"
kind = "api"
class = "cogs"
gl_account = "5020"
provider = "anthropic"          # as the requests name it
match = { ProviderName = "Anthropic" }
token_weights = { input = 10, cached_input = 1, cache_write = 12, output = 50 }  # the proportions of its price list

[[pools]]
name = "llm-openai"
kind = "api"
class = "cogs"
gl_account = "5020"
provider = "openai"
match = { ProviderName = "OpenAI" }
token_weights = { input = 10, cached_input = 1, cache_write = 10, output = 80 }

[[pools]]                       # shared by what each customer stores
name = "vector-db"
kind = "shared"
class = "cogs"
gl_account = "5030"
driver = "metric"
metric = "vectors_stored"
match = { ServiceName = "Vectorly" }

[[pools]]                       # PostgreSQL and object storage: shared by the gigabytes of each feature
name = "data"
kind = "shared"
class = "cogs"
gl_account = "5030"
driver = "metric"
metric = "gigabytes"
match = { ServiceName = ["Amazon RDS*", "Amazon S3"] }

[[pools]]                       # shared by the tickets of each customer
name = "app-servers"
kind = "shared"
class = "cogs"
gl_account = "5040"
driver = "metric"
metric = "tickets_solved"
match = { ServiceName = ["Amazon EKS", "Cloud Run", "Azure Front Door"] }

[[pools]]                       # shared by weights agreed between the teams; in dollars and in euros, each on its own
name = "tooling"
kind = "shared"
class = "cogs"
gl_account = "5050"
driver = "fixed"
weights = { support = 6, platform = 3, research = 1 }
match = { ServiceCategory = "Developer Tools" }

[[pools]]                       # belongs to the team that its tag names; one row has none and shows as `unassigned`
name = "notebooks"
kind = "owned"
class = "opex"
gl_account = "6200"
owner = "Tags.team"
match = { ServiceName = "Amazon SageMaker" }

[[pools]]                       # labour as a charge like any other, with the team that it was for
name = "labelling"
kind = "owned"
class = "rnd"
gl_account = "6020"
owner = "Tags.team"
match = { x_source = "labour", ServiceName = "Labelling" }

[[pools]]
name = "support"
kind = "shared"
class = "opex"
gl_account = "6900"
driver = "fixed"
weights = { support = 2, platform = 1 }
match = { ServiceName = "AWS Support" }
"""

#: The class of each pool of the file above.
CLASSES: dict[str, str] = {pool["name"]: pool["class"] for pool in tomllib.loads(TOML)["pools"]}
