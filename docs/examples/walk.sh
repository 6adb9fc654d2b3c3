# bash walk.sh http://127.0.0.1:3000 [TOKEN]: the HTTP API by curl.
set -euo pipefail
api="$1/api/v1"
ask() { curl -sS --fail-with-body ${TOKEN:+-H "Authorization: Bearer $TOKEN"} "$@"; echo; }
TOKEN="${2:-}"

# add an account; the answer's `account.id` is Master's id of it
added=$(ask -X POST "$api/accounts" -d '{"platform": "douyin", "account_name": "小店"}')
id=$(sed -E 's/.*"account":\{"id":"([^"]+)".*/\1/' <<< "$added")

ask "$api/accounts/$id"                                              # one account
ask "$api/accounts?platform=douyin&status=active&limit=100"          # a page of accounts
ask -X PATCH "$api/accounts/$id" -d '{"monitor_interval": 60}'       # change one field
ask "$api/workers"                                                   # who is connected
ask "$api/comments?account_id=$id&is_read=false&since=2026-01-01"    # unread comments
ask "$api/notifications?type=comment&limit=50"                       # the newest notifications
ask -X POST "$api/accounts/$id/login" || true                        # 409 no_worker without workers
ask -X DELETE "$api/accounts/$id"                                    # remove it, with its messages
