-- The requests of wrk. From the environment, each empty or set: TOKEN, BODY (create a row, then delete it), KEYS (the
-- beginning of the Idempotency-Keys of these writes), ETAG (the client has the row). Prints one line: requests,
-- microseconds, median and 99th percentile in microseconds, errors.

local function given(name)
  local value = os.getenv(name)
  if value ~= "" then return value end
end

local body, keys = given("BODY"), given("KEYS")
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
wrk.headers["If-None-Match"] = given("ETAG")

if body then
  wrk.headers["Content-Type"] = "application/json"
  local rows, first, last, sent = {}, 1, 0, 0

  function request()
    sent = sent + 1
    if keys then wrk.headers["Idempotency-Key"] = keys .. "-" .. sent end
    if first > last then return wrk.format("POST", nil, nil, body) end
    local row = rows[first]
    rows[first], first = nil, first + 1
    return wrk.format("DELETE", wrk.path .. "/" .. row)
  end

  function response(status, _, answer)
    if status == 201 then last, rows[last + 1] = last + 1, answer:match('"id"%s*:%s*"([^"]+)"') end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
