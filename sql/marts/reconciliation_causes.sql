-- reconciliation_causes: the walk from each invoice to the ledger of a calendar month, one line for each cause.
-- grain: month, x_source, provider, BillingAccountId, SubAccountId, InvoiceId, billing_month, BillingCurrency, cause
-- column month: calendar month of the ledger that the walk ends in, first day, UTC
-- column x_source: configured source of the bill; null for what is provisional, which is of no bill yet
-- column provider: who provides the services
-- column BillingAccountId: account that is invoiced
-- column SubAccountId: account inside it
-- column InvoiceId: invoice; null where the source names none
-- column billing_month: first day of the month that the invoice is for; where it is not month, the invoice is another's
-- column BillingCurrency: currency of the amounts; those of different currencies are never added
-- column kind: bill (where the walk begins), step, or ledger (where it ends): bill and steps add up to ledger, exactly
-- column position: place of the cause in the walk
-- column cause: why the amounts differ; residual where nothing says why
-- column amount: BilledCost in the source, what the cause changes, or cost in the ledger
-- column charges: charges that the line speaks of; null where it is of parts of charges
-- column attributed_cost: cost of those charges, also where bill and ledger have them alike; null where charges is
with charges as (
    select * from charges
),

rejects as (
    select * from rejects
),

pool_days as (
    select * from pool_days
),

cost_ledger as (
    select * from cost_ledger
),

horizon as (
    select epoch_us(horizon) as horizon_us from build_info
),

costs as (
    select
        struct_pack(
            x_source := x_source,
            provider := coalesce(ServiceProviderName, ProviderName),
            BillingAccountId := BillingAccountId,
            SubAccountId := SubAccountId,
            InvoiceId := InvoiceId,
            billing_month := billing_month,
            BillingCurrency := BillingCurrency
        ) as line,
        -- a charge that is attributed at another amount than it is billed at has one reason for that
        case
            when ChargeCategory = 'Tax' then 'tax'
            when ChargeCategory = 'Credit' then 'credit'
            when CommitmentDiscountStatus = 'Used' then 'commitment used'
            when CommitmentDiscountStatus = 'Unused' then 'commitment unused'
            when ChargeCategory = 'Purchase' then 'prepayment'
            when InvoiceIssuerName <> coalesce(ServiceProviderName, ProviderName) then 'marketplace issuer'
            else 'cost column'
        end as reason,
        coalesce(PricingCurrency <> BillingCurrency, false) as is_priced_otherwise,
        cast(BilledCost as decimal(38, 24)) + x_BilledCostRounding as billed_in_file,
        x_BilledCostRounding as rounding,
        cast(x_cost - BilledCost as decimal(38, 24)) as change,
        x_cost as cost,
        epoch_us(ChargePeriodStart) as start_us,
        greatest(epoch_us(ChargePeriodEnd), epoch_us(ChargePeriodStart) + 1) as end_us,
        -- the provider's month ends up to 14 hours after ours where its days begin in another time zone
        case
            when BillingPeriodEnd <= billing_month + interval 1 month + interval 14 hours
                then greatest(epoch_us(BillingPeriodEnd) - epoch_us(billing_month + interval 1 month), 0)
            else 0
        end as zone_us
    from charges
),

summed as (
    select
        line,
        reason,
        is_priced_otherwise,
        count(*) as charges,
        sum(billed_in_file) as billed_in_file,
        sum(rounding) as rounding,
        sum(change) as change,
        sum(cost) as cost
    from costs
    group by all
),

spans as (
    select
        line,
        start_us,
        end_us,
        zone_us,
        cast(sum(cost) * 1000000000000 as hugeint) as pico
    from costs
    group by all
),

-- as in pool_days: up to a moment t a span has cost pico * (t - start) div length, so months telescope to the whole
cut as (
    select
        spans.*,
        least(greatest(horizon.horizon_us, spans.start_us), spans.end_us) as until_us
    from spans
    cross join horizon
),

accrued as (
    select
        line,
        sum(pico - pico * (until_us - start_us) // (end_us - start_us)) as pico
    from cut
    group by all
),

in_months as (
    select
        *,
        unnest(range(date_diff('month', make_timestamp(start_us), make_timestamp(until_us - 1)) + 1)) as later
    from cut
    where until_us > start_us
),

bounds as (
    select
        *,
        date_trunc('month', make_timestamp(start_us)) + to_months(cast(later as integer)) as month_start
    from in_months
),

limits as (
    select
        line,
        cast(month_start as date) as month,
        pico,
        end_us - start_us as length_us,
        greatest(epoch_us(month_start), start_us) - start_us as from_us,
        least(epoch_us(month_start + interval 1 month), until_us) - start_us as to_us,
        case
            when month_start = line.billing_month + interval 1 month
                then least(greatest(epoch_us(month_start) + zone_us, start_us), until_us) - start_us
            else greatest(epoch_us(month_start), start_us) - start_us
        end as zone_to_us
    from bounds
),

parts as (
    select
        line,
        month,
        count(*) as pieces,
        sum(pico * to_us // length_us - pico * from_us // length_us) as pico,
        sum(pico * zone_to_us // length_us - pico * from_us // length_us) as zone_pico
    from limits
    group by all
),

bill_days as (
    select
        *,
        sum(cost) over (partition by day, pool, BillingCurrency) as pool_cost
    from pool_days
    where not provisional
),

ledger_days as (
    select
        day,
        pool,
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    where not provisional
    group by all
),

handed_out as (
    select
        bill_days.x_source,
        bill_days.InvoiceId,
        bill_days.billing_month,
        bill_days.BillingCurrency,
        cast(date_trunc('month', bill_days.day) as date) as month,
        -- where the ledger of a pool and day is not what was billed, none of it counts as handed out
        sum(case when bill_days.pool_cost = coalesce(ledger_days.cost, 0) then bill_days.cost else 0 end) as cost
    from bill_days
    left join ledger_days
        on
            bill_days.day = ledger_days.day
            and bill_days.pool = ledger_days.pool
            and bill_days.BillingCurrency = ledger_days.BillingCurrency
    group by all
),

of_invoices as (
    select
        *,
        sum(pico) over same_invoice as invoice_pico,
        sum(pieces) over same_invoice as invoice_pieces,
        row_number() over (same_invoice order by abs(pico) desc, line) as place
    from parts
    window
        same_invoice as (
            partition by line.x_source, line.InvoiceId, line.billing_month, line.BillingCurrency, month
        )
),

-- Days of the ledger are cut from charges added up without regard to accounts, and each cut may take a pico-unit: the
-- account with the most carries that, as it carries what the ledger has more or less than was billed.
ledger as (
    select
        of_invoices.line,
        of_invoices.month,
        of_invoices.pico,
        case
            when of_invoices.place = 1 then coalesce(handed_out.cost, 0) - money(of_invoices.invoice_pico)
            else 0
        end as off,
        money(2 * of_invoices.invoice_pieces + 2) as cuts
    from of_invoices
    left join handed_out
        on
            of_invoices.line.x_source = handed_out.x_source
            and of_invoices.line.InvoiceId is not distinct from handed_out.InvoiceId
            and of_invoices.line.billing_month = handed_out.billing_month
            and of_invoices.line.BillingCurrency = handed_out.BillingCurrency
            and of_invoices.month = handed_out.month
),

rejected as (
    select
        struct_pack(
            x_source := x_source,
            provider := coalesce(
                json_extract_string(said, '$.ServiceProviderName'), json_extract_string(said, '$.ProviderName')
            ),
            BillingAccountId := json_extract_string(said, '$.BillingAccountId'),
            SubAccountId := json_extract_string(said, '$.SubAccountId'),
            InvoiceId := json_extract_string(said, '$.InvoiceId'),
            billing_month := cast(json_extract_string(said, '$.billing_month') as date),
            BillingCurrency := json_extract_string(said, '$.BillingCurrency')
        ) as line,
        count(*) as charges,
        sum(
            cast(json_extract_string(said, '$.BilledCost') as decimal(38, 24))
            + cast(coalesce(json_extract_string(said, '$.x_BilledCostRounding'), '0') as decimal(38, 24))
        ) as billed_in_file
    from rejects
    where
        json_extract_string(said, '$.billing_month') is not null
        and json_extract_string(said, '$.BillingCurrency') is not null
        and json_extract_string(said, '$.BilledCost') is not null
    group by all
),

no_bill as (
    select
        cast(date_trunc('month', day) as date) as month,
        BillingCurrency,
        sum(cost) as cost
    from cost_ledger
    where provisional
    group by all
),

bill_lines as (
    select line.billing_month as month, line, 'bill' as cause, billed_in_file as amount, charges, null as cost
    from summed
    union all
    select line.billing_month as month, line, 'bill' as cause, billed_in_file as amount, charges, null as cost
    from rejected
    union all
    select line.billing_month as month, line, 'rejects' as cause, -billed_in_file as amount, charges, null as cost
    from rejected
    union all
    select line.billing_month as month, line, 'rounding' as cause, -rounding as amount, null as charges, null as cost
    from summed
    where rounding <> 0
    union all
    select line.billing_month as month, line, reason as cause, change as amount, charges, cost from summed
    where change <> 0 or reason in ('tax', 'credit')
    union all
    select line.billing_month as month, line, 'ledger' as cause, 0 as amount, null as charges, null as cost from summed
    union all
    select line.billing_month as month, line, 'pricing currency' as cause, 0 as amount, charges, cost from summed
    where is_priced_otherwise
),

time_lines as (
    select line.billing_month as month, line, 'accrued' as cause, -money(pico) as amount from accrued
    where pico <> 0
    union all
    select line.billing_month as month, line, 'time zone' as cause, -money(zone_pico) as amount from parts
    where month <> line.billing_month and zone_pico <> 0
    union all
    select line.billing_month as month, line, 'invoice month' as cause, -money(pico - zone_pico) as amount from parts
    where month <> line.billing_month and pico <> zone_pico
    union all
    select month, line, 'time zone' as cause, money(zone_pico) as amount from parts
    where month <> line.billing_month and zone_pico <> 0
    union all
    select month, line, 'invoice month' as cause, money(pico - zone_pico) as amount from parts
    where month <> line.billing_month and pico <> zone_pico
    union all
    select month, line, case when abs(off) <= cuts then 'spreading' else 'residual' end as cause, off as amount
    from ledger
    where off <> 0
    union all
    select month, line, 'ledger' as cause, money(pico) + off as amount from ledger
),

all_lines as (
    select month, line, cause, cast(amount as decimal(38, 24)) as amount, charges, cost from bill_lines
    union all
    select month, line, cause, cast(amount as decimal(38, 24)) as amount, null as charges, null as cost from time_lines
    union all
    select
        month,
        {
            'x_source': null,
            'provider': null,
            'BillingAccountId': null,
            'SubAccountId': null,
            'InvoiceId': null,
            'billing_month': null,
            'BillingCurrency': BillingCurrency
        } as line,
        unnest(['provisional', 'ledger']) as cause,
        cast(cost as decimal(38, 24)) as amount,
        null as charges,
        null as cost
    from no_bill
),

causes as (
    select
        month,
        line,
        cause,
        sum(amount) as amount,
        cast(sum(charges) as bigint) as charges,
        sum(cost) as attributed_cost
    from all_lines
    group by all
),

final as (
    select
        month,
        line.x_source,
        line.provider,
        line.BillingAccountId,
        line.SubAccountId,
        line.InvoiceId,
        line.billing_month,
        line.BillingCurrency,
        case when cause in ('bill', 'ledger') then cause else 'step' end as kind,
        list_position(
            [
                'bill', 'rejects', 'rounding', 'cost column', 'prepayment', 'commitment used', 'commitment unused',
                'tax', 'credit', 'marketplace issuer', 'pricing currency', 'accrued', 'time zone', 'invoice month',
                'spreading', 'provisional', 'residual', 'ledger'
            ],
            cause
        ) as position,
        cause,
        amount,
        charges,
        attributed_cost
    from causes
)

select * from final
