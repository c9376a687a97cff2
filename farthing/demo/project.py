"""The simulated company's farthing.toml, written so that a newcomer learns the file from it."""

TOML = """\
# SIMULATED: the company, its people, its requests and its bills are made up by `farthing demo`.
# This is a whole project: the keys are those that you would write for your own company.

[project]
name = "acme (simulated)"
currency = "USD"                # what reports lead with; other currencies stand beside it, never added

# --- Sources: what `farthing collect` reads into the lake. `kind` says what a file holds. -----------------------

[sources.bill]                  # every bill in the FOCUS format: the cloud, two model vendors, three SaaS tools
kind = "focus"
path = "bills/*.csv"

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

[sources.gpu]                   # what each GPU did: covered and busy seconds, every ten seconds
kind = "gpu_usage"
path = "gpu/*.parquet"

[sources.inventory]             # which GPU stands in which billed machine and serves which replica
kind = "gpu_inventory"
path = "inventory.csv"

[sources.people]                # gateway keys and users -> user, team, customer
kind = "identities"
path = "identities.csv"

[sources.jobs]                  # training and batch jobs
kind = "jobs"
path = "jobs.csv"

[sources.metrics]               # drivers that only you know: here the vectors that each customer stores
kind = "metrics"
path = "metrics.csv"

# --- Pools: which charges belong together, and how they reach people. The first pool that matches takes a charge. --

[[pools]]                       # our inference fleet: split by what each request took of the GPUs
name = "gpu-serving"
kind = "gpu"
match = { ServiceCategory = "Compute", ResourceId = "i-serve-*" }
method = "phase_time"           # docs/methods.md; others: gpu_seconds, tokens, requests
idle = "separate"               # idle time is a line of its own, carried by the team that owns the replica

[[pools]]                       # a machine for training: paid by the jobs that ran on it
name = "research-training"
kind = "training"
class = "rnd"
match = { ServiceCategory = "Compute", ResourceId = "i-train-*" }

[[pools]]                       # a model vendor: its bill of a day is shared by the tokens of that day's requests
name = "llm-anthropic"
kind = "api"
provider = "anthropic"          # as the requests name it
match = { ProviderName = "Anthropic" }
token_weights = { input = 20, cached_input = 2, cache_write = 25, output = 100 }  # the proportions of its price list

[[pools]]
name = "llm-openai"
kind = "api"
provider = "openai"
match = { ProviderName = "OpenAI" }
token_weights = { input = 10, cached_input = 1, cache_write = 10, output = 80 }

[[pools]]                       # shared by what each customer stores; the vendor's credit lands here too
name = "vector-db"
kind = "shared"
driver = "metric"
metric = "vectors_stored"
match = { ServiceName = "Vectorly" }

[[pools]]                       # shared by tokens
name = "storage-and-network"
kind = "shared"
driver = "tokens"
match = { ServiceCategory = ["Storage", "Networking"] }

[[pools]]                       # belongs to the team that its tag names
name = "notebooks"
kind = "owned"
class = "opex"
owner = "Tags.team"
match = { ServiceName = "Amazon SageMaker" }

[[pools]]                       # the same for every active user; in dollars and in euros, each on its own
name = "tooling"
kind = "shared"
class = "opex"
driver = "users"
match = { ServiceCategory = "Developer Tools" }

[[pools]]                       # shared by weights agreed between the teams
name = "support-contract"
kind = "shared"
driver = "fixed"
weights = { assistant = 4, search = 3, agents = 2, platform = 1 }
match = { ServiceName = "AWS Support" }

[[pools]]                       # follows the cost that people already have
name = "tax"
kind = "shared"
driver = "cost"
match = { ChargeCategory = "Tax" }

# One machine matches no pool on purpose: its cost shows as `unassigned`. `farthing pools test` names it.
"""
