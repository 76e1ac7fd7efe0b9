-- What people are to hear of an endpoint waits until they have heard it, whoever is away or restarted meanwhile.

ALTER TABLE cdc.endpoint
    ADD COLUMN news_at timestamptz,
    ADD COLUMN news_percent integer,
    ADD COLUMN news_due_at timestamptz,
    ADD COLUMN news_tries integer,
    ADD CONSTRAINT endpoint_news_are_complete CHECK (
        num_nonnulls(news_at, news_due_at, news_tries) IN (0, 3)
        AND (news_percent IS NULL OR news_at IS NOT NULL)
    );

-- Those that wait are few, and looked for every few seconds.
CREATE INDEX endpoint_with_news ON cdc.endpoint (news_due_at) WHERE news_due_at IS NOT NULL;

COMMENT ON COLUMN cdc.endpoint.news_at IS
    'When it was disabled, or was warned of, which nobody has been told yet; NULL when there is nothing to be told.';
COMMENT ON COLUMN cdc.endpoint.news_percent IS
    'How much of the time after which it is disabled was over then; NULL when it was disabled.';
COMMENT ON COLUMN cdc.endpoint.news_due_at IS
    'Not told before that: somebody is at it, or could not tell it.';
COMMENT ON COLUMN cdc.endpoint.news_tries IS
    'How often that was begun.';
