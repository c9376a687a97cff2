-- every_charge_in_one_pool: each charge of the lake is in the bill once, in a pool.
select
    charges.x_charge_id,
    count(bill_charges.x_charge_id) as times
from settings.charges as charges
left join bill_charges on charges.x_charge_id = bill_charges.x_charge_id
group by charges.x_charge_id
having
    count(bill_charges.x_charge_id) <> 1
    or count(bill_charges.pool) <> 1
