"""Verifies one request with the published Standard Webhooks library.

Standard input: {"secret": ..., "headers": {...}, "body": ...}. Exit code 0 if the library accepts it, 1 if not.
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def main() -> int:
    request = json.load(sys.stdin)
    try:
        Webhook(request["secret"]).verify(request["body"], request["headers"])
    except WebhookVerificationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
