-- name: jobs_sent
SELECT
    credential, model, owner, count(*) AS jobs, CAST(sum(tokens) AS BIGINT) AS tokens
FROM jobs
WHERE state IN ('submitting', 'running')
    AND id NOT IN (SELECT jsonb_array_elements_text(CAST(:but AS JSONB)))
GROUP BY credential, model, owner;
