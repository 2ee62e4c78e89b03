-- The requests of wrk: TOKEN, and BODY (create a row, then delete it) or ETAG (the client has the row), come from the
-- environment. Prints one line: requests, microseconds, median and 99th percentile in microseconds, errors.

local body, etag = os.getenv("BODY"), os.getenv("ETAG")
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
if etag then wrk.headers["If-None-Match"] = etag end

if body then
  wrk.headers["Content-Type"] = "application/json"
  local keys, first, last = {}, 1, 0

  function request()
    if first > last then return wrk.format("POST", nil, nil, body) end
    local key = keys[first]
    keys[first], first = nil, first + 1
    return wrk.format("DELETE", wrk.path .. "/" .. key)
  end

  function response(status, _, answer)
    if status == 201 then last, keys[last + 1] = last + 1, answer:match('"id"%s*:%s*"([^"]+)"') end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
