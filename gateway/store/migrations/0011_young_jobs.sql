-- Jobs that began to run of late: part of the polls is kept for them.
CREATE INDEX jobs_young ON jobs (submitted_at) WHERE state = 'running';
