-- Webhook endpoints, who subscribed to what, and who already got what.
--
-- It need not be in the database of the outbox (`postgres.store_url`).

CREATE TABLE cdc.endpoint (
    id                text        PRIMARY KEY,
    url               text        NOT NULL,
    format            text        NOT NULL DEFAULT 'json',
    template          text,
    -- The one to sign with first, then the one before it while receivers change over.
    secrets           text[]      NOT NULL DEFAULT '{}',
    old_secret_until  timestamptz,
    guarantee         text        NOT NULL DEFAULT 'at_least_once',
    max_concurrency   integer     NOT NULL DEFAULT 8,
    rate_per_second   double precision,
    ordered           boolean     NOT NULL DEFAULT false,
    state             text        NOT NULL DEFAULT 'enabled',
    disabled_reason   text,
    disabled_at       timestamptz,
    -- Since when nothing but failures, and the last of them; roughly, so that a failure costs no write.
    first_failed_at   timestamptz,
    last_failed_at    timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT endpoint_id_is_a_name CHECK (octet_length(id) BETWEEN 1 AND 256 AND id !~ '[[:cntrl:]]'),
    CONSTRAINT endpoint_secrets_are_at_most_two CHECK (cardinality(secrets) <= 2),
    CONSTRAINT endpoint_guarantee_is_known CHECK (guarantee IN ('at_least_once', 'at_most_once')),
    CONSTRAINT endpoint_concurrency_is_bounded CHECK (max_concurrency BETWEEN 1 AND 1000),
    CONSTRAINT endpoint_rate_is_bounded CHECK (rate_per_second BETWEEN 0.001 AND 1000000),
    CONSTRAINT endpoint_state_is_complete CHECK (
        CASE state
            WHEN 'enabled' THEN num_nonnulls(disabled_reason, disabled_at) = 0
            WHEN 'disabled' THEN num_nulls(disabled_reason, disabled_at) = 0
            ELSE false
        END
    ),
    CONSTRAINT endpoint_failure_is_complete CHECK (num_nonnulls(first_failed_at, last_failed_at) IN (0, 2))
);

-- An application with subscriptions of its own drops this table and makes a view with the same columns. Hence nothing
-- refers to it, and it is only ever read.
CREATE TABLE cdc.subscription (
    endpoint_id text NOT NULL REFERENCES cdc.endpoint ON DELETE CASCADE,
    subject     text,
    event_type  text,
    CONSTRAINT subscription_is_there_once UNIQUE NULLS NOT DISTINCT (endpoint_id, subject, event_type)
);

CREATE INDEX subscription_by_subject ON cdc.subscription (subject, endpoint_id);

-- One row for each event and endpoint.
--
-- Not partitioned by time, on purpose: a primary key of a partitioned table must contain the partition's column, and
-- no time is part of a delivery's identity. The same event comes again with another time, after a gap was repaired
-- for example, and two processes may claim it on two sides of midnight; either would be sent twice. Old rows are
-- deleted in batches, in the order of `created_at`.
--
-- The usual life is one insert and one update, and the update touches no index (HOT): `code` stays NULL unless
-- something goes wrong, and there is no index on `state`. The fill factor leaves room for it on the page.
CREATE TABLE cdc.delivery (
    event_id    text        NOT NULL,
    endpoint_id text        NOT NULL,
    state       text        NOT NULL,
    -- Who holds it, until when, and the how-manieth holder that is.
    owner       text,
    lease_until timestamptz,
    epoch       bigint      NOT NULL DEFAULT 1,
    -- The guarantee that its last holder gave.
    at_most_once boolean    NOT NULL,
    -- What became of the last attempt.
    status      integer,
    code        text,
    excerpt     text,
    -- Where its record is in Kafka.
    origin      text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, endpoint_id),
    CONSTRAINT delivery_state_is_known CHECK (
        state IN ('claimed', 'retrying', 'delivered', 'failed', 'unknown', 'missed')
    ),
    CONSTRAINT delivery_claim_is_complete CHECK (
        num_nonnulls(owner, lease_until) = CASE state WHEN 'claimed' THEN 2 ELSE 0 END
    ),
    CONSTRAINT delivery_has_a_code_unless_it_went_well CHECK (
        CASE state WHEN 'claimed' THEN true WHEN 'delivered' THEN code IS NULL ELSE code IS NOT NULL END
    )
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE INDEX delivery_by_age ON cdc.delivery (created_at);
CREATE INDEX delivery_in_trouble ON cdc.delivery (endpoint_id, created_at) WHERE code IS NOT NULL;

COMMENT ON TABLE cdc.endpoint IS
    'Where webhooks are sent to; see `cdc-relay endpoint --help`.';
COMMENT ON COLUMN cdc.endpoint.format IS
    'The form of the body: json, cloudevents, jandi, slack, discord, or template.';
COMMENT ON COLUMN cdc.endpoint.template IS
    'The template, for that format.';
COMMENT ON COLUMN cdc.endpoint.secrets IS
    'What requests are signed with, the current one first. "sealed:…" is encrypted and of no use without the key.';
COMMENT ON COLUMN cdc.endpoint.old_secret_until IS
    'Until when requests are signed with the second secret too.';
COMMENT ON COLUMN cdc.endpoint.guarantee IS
    'When it is not known whether a request arrived: at_least_once sends it again, at_most_once never does.';
COMMENT ON COLUMN cdc.endpoint.max_concurrency IS
    'Requests in flight at most.';
COMMENT ON COLUMN cdc.endpoint.rate_per_second IS
    'Requests a second at most; NULL is no limit.';
COMMENT ON COLUMN cdc.endpoint.ordered IS
    'A record waits until the endpoint has answered, however long that takes.';
COMMENT ON TABLE cdc.subscription IS
    'Which endpoint gets what. May be replaced by a view with the same columns.';
COMMENT ON COLUMN cdc.subscription.subject IS
    'The key of the events, such as an author; NULL is all.';
COMMENT ON COLUMN cdc.subscription.event_type IS
    'The type of the events; NULL is all.';
COMMENT ON TABLE cdc.delivery IS
    'Who got what, or what became of it; deleted by age (`notify.retention`).';
COMMENT ON COLUMN cdc.delivery.state IS
    'claimed → delivered; or retrying (comes again), failed (refused for good), unknown (may have arrived, is not '
    'sent again), missed (the endpoint was disabled).';
COMMENT ON COLUMN cdc.delivery.lease_until IS
    'Until then nobody else sends it.';
COMMENT ON COLUMN cdc.delivery.epoch IS
    'Counts its claims. Who holds an older one records nothing any more, except that it arrived.';
COMMENT ON COLUMN cdc.delivery.code IS
    'Why it did not arrive; NULL when it did, or is on its way for the first time.';
COMMENT ON COLUMN cdc.delivery.excerpt IS
    'The beginning of the answer.';
COMMENT ON COLUMN cdc.delivery.origin IS
    'topic[partition]@offset of its record, when it did not arrive.';
COMMENT ON COLUMN cdc.delivery.created_at IS
    'When it was claimed first.';
