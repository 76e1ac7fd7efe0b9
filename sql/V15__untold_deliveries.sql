-- What came of a request after its record had stopped waiting for it is told when the record comes again, without another
-- request.

ALTER TABLE cdc.delivery ADD COLUMN untold boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN cdc.delivery.untold IS
    'It failed when nobody waited for it any more: whoever asks for it next is told so, once.';
