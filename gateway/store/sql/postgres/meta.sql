-- name: jobs_sent
SELECT
    credential, model, owner, count(*) AS jobs, CAST(sum(tokens) AS BIGINT) AS tokens
FROM jobs
WHERE state IN ('submitting', 'running')
    AND id NOT IN (SELECT jsonb_array_elements_text(CAST(:but AS JSONB)))
GROUP BY credential, model, owner
UNION ALL
SELECT credential, model, owner, count(*), CAST(sum(tokens) AS BIGINT) FROM jobs
WHERE :claimed AND lease_until IS NOT NULL AND state IN ('planned', 'staging')
    AND id NOT IN (SELECT jsonb_array_elements_text(CAST(:but AS JSONB)))
GROUP BY credential, model, owner;
