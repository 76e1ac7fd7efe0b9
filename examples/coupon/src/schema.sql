-- The tables of the example, made at each start if they are missing. Several instances may start at once.
BEGIN;
-- That a table is there already is no news.
SET LOCAL client_min_messages = warning;
SELECT pg_advisory_xact_lock(hashtext('coupon.schema'));

CREATE SCHEMA IF NOT EXISTS coupon;

CREATE TABLE IF NOT EXISTS coupon.campaign (
    the_only_one boolean PRIMARY KEY DEFAULT true CHECK (the_only_one),
    coupons      integer NOT NULL CHECK (coupons > 0),
    -- In percent; not decided yet if it is NULL.
    discount     integer CHECK (discount BETWEEN 1 AND 100)
);

-- Who applied, and with which number. The unique keys are the last word, whatever Redis remembers.
CREATE TABLE IF NOT EXISTS coupon.application (
    user_id    bigint      PRIMARY KEY,
    sequence   integer     NOT NULL UNIQUE CHECK (sequence > 0),
    applied_at timestamptz NOT NULL DEFAULT now(),
    -- Of the event that says so, however often it is sent.
    event_id   uuid        NOT NULL DEFAULT gen_random_uuid(),
    UNIQUE (user_id, sequence)
);

-- What was issued: one coupon for a user, one user for a number.
CREATE TABLE IF NOT EXISTS coupon.coupon (
    user_id      bigint      PRIMARY KEY,
    sequence     integer     NOT NULL UNIQUE,
    discount     integer     NOT NULL,
    issued_at    timestamptz NOT NULL DEFAULT now(),
    -- Why it took the handler of dead letters to issue it.
    rescued_from text,
    FOREIGN KEY (user_id, sequence) REFERENCES coupon.application (user_id, sequence)
);
COMMIT;
