-- each_party_has_its_own_number: no two parties share a number, or their costs would be added up together.
select
    min(day) as day,
    party_key,
    count(*) as parties
from parties
group by party_key
having count(*) > 1
