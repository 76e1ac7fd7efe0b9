-- The newest requests to all endpoints are listed without sorting all that are kept. It serves their removal too.
CREATE INDEX attempt_by_time ON cdc.attempt (at);
DROP INDEX cdc.attempt_by_age;
