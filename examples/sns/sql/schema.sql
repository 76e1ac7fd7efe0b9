-- The tables of the example. Every service runs this when it starts; what is there already stays.

-- Two services that start at the same time take turns.
SELECT pg_advisory_xact_lock(hashtext('sns.schema'));

CREATE SCHEMA IF NOT EXISTS sns;

CREATE TABLE IF NOT EXISTS sns.member (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    nickname text   NOT NULL UNIQUE
);

-- Written by the post-service, which does not know the members: they are another service's.
CREATE TABLE IF NOT EXISTS sns.post (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id   uuid        NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    author_id  bigint      NOT NULL,
    title      text        NOT NULL,
    content    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The outbox of MODE=polling.
CREATE TABLE IF NOT EXISTS sns.outbox_polled (
    position  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author_id bigint NOT NULL,
    event     json   NOT NULL
);

CREATE TABLE IF NOT EXISTS sns.subscription (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author_id   bigint NOT NULL,
    format      text   NOT NULL,
    -- Its row in cdc.endpoint, which has the URL.
    endpoint_id text   GENERATED ALWAYS AS ('sns-' || id::text) STORED
);

-- Which events were dealt with. The row is written in the transaction that emits the notification.
CREATE TABLE IF NOT EXISTS sns.notified (
    event_id    uuid        PRIMARY KEY,
    notified_at timestamptz NOT NULL DEFAULT now()
);
