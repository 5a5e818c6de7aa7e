-- Nothing is dropped in silence: both accounting identities of EXPORTS.md, a dataset a row.
select * from {{ ref('reconciliation') }}
where not is_balanced
