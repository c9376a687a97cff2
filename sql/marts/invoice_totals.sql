-- invoice_totals: what each invoice comes to on paper, the bill that it is for, and why they differ.
-- grain: x_source, provider, account, InvoiceId, month, currency
-- column x_source: configured source of the invoice
-- column provider: who provides what is invoiced
-- column account: account that the invoice is for; null: all of the provider's
-- column InvoiceId: invoice; null: all of the month
-- column month: month that it is for, first day
-- column currency: currency of the amounts
-- column amount: what it comes to on paper, with tax
-- column tax: tax in it, as the paper says; null: not said
-- column bill_cost: BilledCost of the bill in its source, rejected rows included; null: no bill in this currency has come
-- column bill_tax: tax in the bill
-- column bill_credit: credits in the bill, a negative amount
-- column bill_of_others: what the bill has of charges that others than the provider invoice, as of a marketplace
-- column difference: amount less bill_cost
-- column cause: why they differ, as far as paper and bill tell; null: they do not; residual: nothing tells
-- column residual: the part of the difference without a cause; null where it cannot be known, as the currencies differ
with invoices as (
    select * from invoices
),

charges as (
    select
        *,
        bill_part(ChargeCategory, InvoiceIssuerName, coalesce(ServiceProviderName, ProviderName)) as part
    from charges
),

causes as (
    select * from reconciliation_causes
),

bill as (
    select
        lower(coalesce(ServiceProviderName, ProviderName)) as provider,
        BillingAccountId,
        SubAccountId,
        InvoiceId,
        billing_month,
        BillingCurrency,
        ServiceName,
        sum(cast(BilledCost as decimal(38, 24)) + x_BilledCostRounding) as cost,
        sum(case when part = 'tax' then BilledCost else 0 end) as tax,
        sum(case when part = 'credit' then BilledCost else 0 end) as credit,
        sum(case when part = 'marketplace issuer' then BilledCost else 0 end) as of_others
    from charges
    group by all
    union all
    select
        lower(provider) as provider,
        BillingAccountId,
        SubAccountId,
        InvoiceId,
        billing_month,
        BillingCurrency,
        null as ServiceName,
        -amount as cost,
        0 as tax,
        0 as credit,
        0 as of_others
    from causes
    where cause = 'rejects'
),

papers as (
    select
        *,
        lower(provider) as seller,
        case when currency in ('CLP', 'ISK', 'JPY', 'KRW', 'PYG', 'VND') then 0.5 else 0.005 end as half_a_cent
    from invoices
),

paired as (
    select
        papers.*,
        bill.BillingCurrency = papers.currency as is_same,
        bill.BillingCurrency <> papers.currency as is_other,
        bill.cost,
        bill.tax as tax_billed,
        bill.credit,
        bill.of_others
    from papers
    left join bill
        on
            papers.seller = bill.provider
            and papers.month = bill.billing_month
            and (
                papers.account is null
                or papers.account = bill.BillingAccountId
                or papers.account = bill.SubAccountId
            )
            and (papers.InvoiceId is null or bill.InvoiceId is null or papers.InvoiceId = bill.InvoiceId)
),

matched as (
    select
        x_source,
        provider,
        account,
        InvoiceId,
        month,
        currency,
        amount,
        tax,
        sum(cost) filter (where is_same) as bill_cost,
        sum(tax_billed) filter (where is_same) as bill_tax,
        sum(credit) filter (where is_same) as bill_credit,
        sum(of_others) filter (where is_same) as bill_of_others,
        -- an invoice rounds each of its lines, of which there is one for each account and service
        max(half_a_cent) * count(*) as tolerance,
        coalesce(bool_or(is_other), false) as is_billed_otherwise
    from paired
    group by all
),

compared as (
    select
        *,
        amount - coalesce(bill_cost, 0) as difference,
        -- tax is often on paper alone
        coalesce(tax - coalesce(bill_tax, 0), 0) as missing_tax
    from matched
),

judged as (
    select
        *,
        case
            when bill_cost is null and is_billed_otherwise then 'currency'
            when bill_cost is null then 'residual'
            else
                difference_cause(
                    difference - missing_tax,
                    tolerance,
                    case when tax is null then bill_tax else 0 end,
                    bill_credit,
                    bill_of_others
                )
        end as other_cause
    from compared
),

explained as (
    select
        *,
        nullif(
            concat_ws(', ', case when missing_tax <> 0 and bill_cost is not null then 'tax' end, other_cause), ''
        ) as cause,
        case
            when other_cause = 'currency' then null
            when other_cause = 'residual' then difference - missing_tax
            else 0
        end as residual
    from judged
),

final as (
    select
        x_source,
        provider,
        account,
        InvoiceId,
        month,
        currency,
        amount,
        tax,
        bill_cost,
        bill_tax,
        bill_credit,
        bill_of_others,
        difference,
        cause,
        residual
    from explained
)

select * from final
