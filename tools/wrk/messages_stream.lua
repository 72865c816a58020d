-- SPDX-License-Identifier: MIT
--
-- wrk script: Anthropic Messages streams. Counts whole streams and says at the end how many were not.
--   wrk -t2 -c64 -d10s -s tools/wrk/messages_stream.lua http://127.0.0.1:4000
-- Environment: MODEL (default "demo-anthropic"), KEY (client key, if the gateway asks for one).

local model = os.getenv("MODEL") or "demo-anthropic"
local key = os.getenv("KEY")
local threads = {}

wrk.method = "POST"
wrk.path = "/v1/messages"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["anthropic-version"] = "2023-06-01"
if key then
    wrk.headers["x-api-key"] = key
end
wrk.body = string.format(
    '{"model":"%s","max_tokens":256,"stream":true,"messages":[{"role":"user","content":"hello"}]}', model)

function setup(thread)
    thread:set("whole", 0)
    thread:set("broken", 0)
    table.insert(threads, thread)
end

function response(status, headers, body)
    if status == 200 and body:find("event: message_stop\n", 1, true) then
        whole = whole + 1
    else
        broken = broken + 1
    end
end

function done(summary, latency, requests)
    local whole_sum, broken_sum = 0, 0
    for _, thread in ipairs(threads) do
        whole_sum = whole_sum + thread:get("whole")
        broken_sum = broken_sum + thread:get("broken")
    end
    local errors = summary.errors.connect + summary.errors.read + summary.errors.write +
        summary.errors.timeout + summary.errors.status
    print(string.format("streams whole %d, broken %d, socket and status errors %d, p50 %.2f ms, p99 %.2f ms",
        whole_sum, broken_sum, errors, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
