-- Shapes what REST callers send and get. It stands before the transcoder, so it sees requests
-- before, and responses after, transcoding. Of gRPC calls it only touches ids and rate limits.

local NOTES = "telefuser" -- what is remembered of the request until the response
local UNLIMITED = 4294967295
local MAX_HEADERS, MAX_HEADER_BYTES = 100, 60 * 1024 -- of a caller; Envoy's own limits leave room for ours

local INTERNAL = { -- never shown to a REST caller
  "x-http-status", "x-error-json", "x-content-length", "x-rate-limited", "grpc-status",
  "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding", "grpc-encoding",
}

local GENERIC = { -- instead of a text that may be an exception's
  [500] = '"Internal Server Error"',
  [501] = '"Not Implemented"',
}

local INTEGER = { "Input should be a valid integer", "int_parsing" }
local NUMBER = { "Input should be a valid number", "float_parsing" }
local EXPECTED = { -- of a parameter in the query, by its type
  BOOL = { "Input should be true or false", "bool_parsing" },
  INT32 = INTEGER, INT64 = INTEGER, SINT32 = INTEGER, SINT64 = INTEGER,
  UINT32 = INTEGER, UINT64 = INTEGER, FIXED32 = INTEGER, FIXED64 = INTEGER,
  FLOAT = NUMBER, DOUBLE = NUMBER,
}

-- Why a call is let in or not, by how its key came; and as /video/* says it.
local KEY_FAULTS = {
  missing = "No API key was given; send it as Authorization: Bearer <key> or as x-api-key: <key>",
  address = "An API key is not taken from the address, which ends up in logs; send it as "
    .. "Authorization: Bearer <key> or as x-api-key: <key>",
  scheme = "The Authorization header must be: Bearer <key>",
  unknown = "The API key is not valid",
}
local WAN_REASONS = {
  missing = "缺少认证头", address = "缺少认证头", scheme = "无效的认证方案", unknown = "无效的API密钥",
}
local WAN_FAULTS = {
  [408] = "请求体未能及时送达", [413] = "请求体过大", [429] = "请求过于频繁，请稍后重试",
  [503] = "服务暂不可用，请稍后重试", [504] = "服务器未能及时响应",
}
local SECRET_PARAMETERS = {
  ["api_key"] = true, ["api-key"] = true, ["apikey"] = true, ["x-api-key"] = true,
  ["key"] = true, ["token"] = true, ["access_token"] = true,
}

local OPENAI = { images = true, videos = true, models = true }
local OPENAI_CODES = {
  [401] = "invalid_api_key",
  [404] = "not_found", [405] = "method_not_allowed", [408] = "timeout", [413] = "request_too_large",
  [429] = "rate_limit_exceeded", [503] = "unavailable", [504] = "timeout",
}

local UTF8 = { -- well-formed sequences of several bytes, the longest first
  "\240[\144-\191][\128-\191][\128-\191]", "[\241-\243][\128-\191][\128-\191][\128-\191]",
  "\244[\128-\143][\128-\191][\128-\191]", "\224[\160-\191][\128-\191]",
  "[\225-\236\238\239][\128-\191][\128-\191]", "\237[\128-\159][\128-\191]",
  "[\194-\223][\128-\191]",
}

local GENERATION_CODES = {
  [401] = "UNAUTHENTICATED", [403] = "PERMISSION_DENIED", [404] = "NOT_FOUND",
  [408] = "DEADLINE_EXCEEDED", [429] = "RATE_LIMITED", [503] = "UNAVAILABLE",
  [504] = "DEADLINE_EXCEEDED",
}

local function is_grpc(headers)
  return (headers:get("content-type") or ""):sub(1, 16) == "application/grpc"
end

local function is_sane(id)
  return id and #id <= 128 and id:match("^[%w_.-]+$")
end

local function is_openai(path)
  local face, rest = (path or ""):match("^/v1/(%a+)(.?)")
  return OPENAI[face] and (rest == "" or rest == "/")
end

-- Whether an official SDK asks, of whatever path: it reads one form of error alone.
local function is_openai_sdk(headers)
  return headers:get("x-stainless-lang") ~= nil
    or (headers:get("user-agent") or ""):find("OpenAI/", 1, true) ~= nil
end

local function is_generating(path)
  path = (path or ""):gsub("/$", "")
  return path == "/generate" or path == "/v1/generate"
end

local function is_v1(path)
  return (path or ""):sub(1, 4) == "/v1/"
end

local function is_of_generation(path)
  return is_generating(path) or (path or ""):sub(1, 9) == "/outputs/"
end

-- Whether the bytes that a path or query stands for are UTF-8 without NUL; if not, what they are.
local function unreadable(target)
  if target:find("%00", 1, true) then return "a NUL character" end
  if not target:find("%%[89A-Fa-f]") and not target:find("[\128-\255]") then return end
  local rest = target:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  for _, sequence in ipairs(UTF8) do rest = rest:gsub(sequence, ".") end
  return rest:find("[\128-\255]") and "bytes that are not UTF-8"
end

local function is_overlong(headers)
  local count, bytes = 0, 0
  for name, value in pairs(headers) do count, bytes = count + 1, bytes + #name + #value end
  return count > MAX_HEADERS or bytes > MAX_HEADER_BYTES
end

local function fresh_id()
  local random = io.open("/dev/urandom", "rb")
  local bytes = random:read(16)
  random:close()
  local hex = bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  return ("%s-%s-4%s-a%s-%s"):format(
    hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16), hex:sub(18, 20), hex:sub(21, 32))
end

-- Headers that a gRPC server refuses a whole call for, and those that mean something to it: the
-- deadlines of REST requests are the gateway's.
local function remove_unspeakable(headers)
  local names = {}
  for name, value in pairs(headers) do
    local is_pseudo = name:sub(1, 1) == ":"
    local is_foreign = name:find("[^a-z0-9_.-]") or value:find("[\128-\255]")
    local is_grpc_own = name:sub(-4) == "-bin" or name:sub(1, 5) == "grpc-"
    if not is_pseudo and (is_foreign or is_grpc_own) then names[#names + 1] = name end
  end
  for _, name in ipairs(names) do headers:remove(name) end
end

-- A path whose query holds no key, for whoever writes it down; nil if there was none.
local function without_secrets(target)
  local path, query = target:match("^([^?]*)%?(.*)$")
  if not query then return end
  local has_secret = false
  query = query:gsub("[^&]+", function(parameter) -- whole, for a pattern that searches takes its square
    local name = parameter:match("^([^=]+)=")
    if not name or not SECRET_PARAMETERS[name:lower()] then return end
    has_secret = true
    return name .. "=hidden"
  end)
  return has_secret and path .. "?" .. query or nil
end

-- Leaves one key, in the form that Envoy compares, and says what is wrong should it not be known.
local function show_key(headers, has_secret)
  local given = headers:get("authorization") or ""
  local scheme, key = given:match("^%s*(%S+)%s+(%S+)%s*$")
  if key and scheme:lower() == "bearer" then
    headers:replace("authorization", "Bearer " .. key)
    headers:remove("x-api-key")
    return "unknown"
  end
  headers:remove("authorization")
  if (headers:get("x-api-key") or "") ~= "" then return "unknown" end
  return given ~= "" and "scheme" or has_secret and "address" or "missing"
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local id = headers:get("x-request-id")
  if not is_sane(id) then
    id = fresh_id()
    headers:replace("x-request-id", id)
  end
  local target = headers:get(":path") or ""
  local notes = handle:streamInfo():dynamicMetadata()
  notes:set(NOTES, "request_id", id)
  notes:set(NOTES, "path", target:match("^[^?]*"))
  notes:set(NOTES, "method", headers:get(":method"))
  notes:set(NOTES, "sdk", is_openai_sdk(headers))
  local harmless = without_secrets(target)
  if harmless then headers:replace(":path", harmless) end
  if handle:filterContext():get("keys") then
    local fault = show_key(headers, harmless)
    notes:set(NOTES, "key", fault)
    notes:set(NOTES, "key_fault", KEY_FAULTS[fault])
  end
  if is_grpc(headers) then return end
  if is_overlong(headers) then
    local limit = ("more than %d headers, or %d bytes in them"):format(MAX_HEADERS, MAX_HEADER_BYTES)
    handle:respond({ [":status"] = "431" }, "The request has " .. limit .. "; send fewer")
    return
  end

  remove_unspeakable(headers)
  if not (handle:filterContext()["trusts_proxies"] and headers:get("x-forwarded-host")) then
    headers:replace("x-forwarded-host", headers:get(":authority") or "") -- for links in answers
  end
  local what = unreadable(target)
  if what then handle:respond({ [":status"] = "400" }, "The path or the query holds " .. what) end
end

-- The limit without its burst: the burst is a reserve beyond what is promised.
local function show_rate(headers, options, path)
  local capacity = tonumber(headers:get("x-ratelimit-limit") or "")
  local left = tonumber(headers:get("x-ratelimit-remaining") or "")
  headers:remove("x-ratelimit-reset")
  if not capacity or not left or capacity >= UNLIMITED then
    headers:remove("x-ratelimit-limit")
    headers:remove("x-ratelimit-remaining")
    return
  end
  local burst = is_generating(path) and 0 or options:get("burst")
  headers:replace("x-ratelimit-limit", ("%d"):format(capacity - burst))
  headers:replace("x-ratelimit-remaining", ("%d"):format(math.max(0, left - burst)))
  headers:replace("x-ratelimit-window", ("%d"):format(options:get("window_seconds")))
end

local function too_many(headers, id)
  local wait = headers:get("retry-after") or "1"
  return ([[{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests","request_id":"%s",]]
    .. [["details":{"limit":%s,"window_seconds":%s,"retry_after_seconds":%s,]]
    .. [["friendly_message":"You have sent more requests than the service takes. Wait %s s, then go on.",]]
    .. [["suggestions":["Wait as many seconds as the header Retry-After says before the next request",]]
    .. [["Watch a task at /v1/tasks/{task_id}/events instead of asking for its status again and again",]]
    .. [["Ask the operator for a higher limit (TELEFUSER_RATE_LIMIT_RPM)"]}}}]]):format(
    id, headers:get("x-ratelimit-limit"), headers:get("x-ratelimit-window"), wait, wait)
end

-- What goes below `detail`, the same in words, and the parameter that is wrong: all three are JSON.
local function explain(text, code)
  local bare = text:match('^{"code":%d+,"message":(".-"),"details":%[') -- of the server, without a body
  if bare then
    bare = GENERIC[code] or bare
    return bare, bare, "null"
  end
  local field, kind = text:match('^{"detail":%[.-"msg":"([%w_.]+): invalid value .*TYPE_(%w+)"')
  if EXPECTED[kind] then
    local said, type = unpack(EXPECTED[kind])
    local detail = ('[{"loc":["query","%s"],"msg":"%s","type":"%s"}]'):format(field, said, type)
    return detail, ('"%s: %s"'):format(field, said), ('"%s"'):format(field)
  end
  local detail = text:match('^{"detail":(.*)}%s*$')
  local said = detail and (detail:match('^%s*(".*")$') or detail:match('"msg":(".*"),"type":'))
  return detail, said or '"The request is not valid"', "null"
end

local function with_error(detail, message, param, code)
  local type = code == 429 and "rate_limit_error"
    or code >= 500 and "server_error" or "invalid_request_error"
  local name = OPENAI_CODES[code] and ('"%s"'):format(OPENAI_CODES[code]) or "null"
  return ('{"error":{"message":%s,"type":"%s","param":%s,"code":%s},"detail":%s}'):format(
    message, type, param, name, detail)
end

local function failed(message, code)
  local name = GENERATION_CODES[code] or code >= 500 and "INTERNAL" or "INVALID_ARGUMENT"
  return ('{"task_id":null,"status":"failed","error":%s,"code":"%s"}'):format(message, name)
end

-- Words an error that has no body of the server's: the gateway's own, or a bare status.
local function word(handle, code, notes, limited)
  local buffer = handle:body(true)
  local headers = handle:headers() -- the wrapper from before died at body()
  local detail, message, param = limited, '"Too many requests"', "null"
  if not limited then
    detail, message, param = explain(buffer:getBytes(0, buffer:length()), code)
  end
  if not detail then return end
  if is_of_generation(notes.path) then
    buffer:setBytes(failed(message, code))
    return
  end
  local reason = (notes.path or ""):sub(1, 7) == "/video/"
    and (code == 401 and (WAN_REASONS[notes.key] or "") or WAN_FAULTS[code])
  if reason then
    detail = ('{"status":"Failed","reason":"%s"}'):format(reason)
  elseif code == 401 or is_openai(notes.path) or notes.sdk and is_v1(notes.path) then
    if code == 504 then headers:replace("x-should-retry", "false") end -- it may have begun
    buffer:setBytes(with_error(detail, message, param, code))
    return
  end
  buffer:setBytes('{"detail":' .. detail .. "}")
end

-- The server names the HTTP status (x-http-status), the body of an error (x-error-json) and the
-- length of a stream (x-content-length) in its metadata.
function envoy_on_response(handle)
  local headers = handle:headers()
  local options = handle:filterContext()
  local notes = handle:streamInfo():dynamicMetadata():get(NOTES) or {}
  local id = notes.request_id or fresh_id()
  headers:replace("x-request-id", id)
  if options:get("burst") then show_rate(headers, options, notes.path) end
  if options:get("cors") then headers:add("vary", "Origin") end
  if is_grpc(headers) then return end

  local status = headers:get("x-http-status")
  local length = headers:get("x-content-length")
  local body = headers:get("x-error-json")
  local limited = headers:get("x-rate-limited") and too_many(headers, id)
  for _, name in ipairs(INTERNAL) do headers:remove(name) end
  if status then headers:replace(":status", status) end
  if length then headers:replace("content-length", length) end

  local code = tonumber(headers:get(":status"))
  local is_json = (headers:get("content-type") or ""):sub(1, 16) == "application/json"
  if body then
    handle:body(true):setBytes(body)
    handle:headers():replace("content-type", "application/json") -- the old wrapper died at body()
  elseif code >= 400 and is_json and not status and notes.method ~= "HEAD" then
    word(handle, code, notes, limited)
  end
end
