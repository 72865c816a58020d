-- SPDX-License-Identifier: MIT
--
-- wrk script: the cheapest request there is, to see what the HTTP floor alone can carry.
--   wrk -t2 -c64 -d10s -s tools/wrk/health.lua http://127.0.0.1:4000

wrk.method = "GET"
wrk.path = "/health"
