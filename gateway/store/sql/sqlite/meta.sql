-- name: jobs_sent
SELECT credential, model, owner, count(*) AS jobs, sum(tokens) AS tokens FROM jobs
WHERE state IN ('submitting', 'running') AND id NOT IN (SELECT value FROM json_each(:but))
GROUP BY credential, model, owner
UNION ALL
SELECT credential, model, owner, count(*), sum(tokens) FROM jobs
WHERE :claimed AND lease_until IS NOT NULL AND state IN ('planned', 'staging')
    AND id NOT IN (SELECT value FROM json_each(:but))
GROUP BY credential, model, owner;
