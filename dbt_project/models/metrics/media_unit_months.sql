-- Grain: unit × month × cut-off month from which the figures hold × metric of the area media.
with accounts as (
    select
        unit_code,
        month_code,
        month_code as known_month,
        count(*) as accounts,
        sum({{ one_if('not is_silent') }}) as active_accounts
    from {{ ref('fct_media_account_months') }}
    where is_open_whole_month
    group by unit_code, month_code
),

posts as (
    select unit_code, published_month as month_code, published_month as known_month, count(*) as posts
    from {{ ref('fct_media_posts') }}
    group by unit_code, published_month
)

{{ metric_rows('accounts', 'media', {'account_active_rate': ['active_accounts', 'accounts']}) }}
union all
{{ metric_rows('posts', 'media', {'media_posts': ['posts', none]}) }}
