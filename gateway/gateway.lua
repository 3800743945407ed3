-- Shapes what REST callers send and get. It stands before the transcoder, so it sees requests
-- before, and responses after, transcoding. What gRPC callers send and get passes untouched.

local INTERNAL = { -- never shown to a REST caller
  "x-http-status", "x-error-json", "x-content-length", "grpc-status", "grpc-message",
  "grpc-status-details-bin", "grpc-accept-encoding", "grpc-encoding",
}

local GENERIC = { -- instead of a text that may be an exception's
  [500] = '"Internal Server Error"',
  [501] = '"Not Implemented"',
}

local function is_grpc(headers)
  return (headers:get("content-type") or ""):sub(1, 16) == "application/grpc"
end

local function is_sane(id)
  return id and #id <= 128 and id:match("^[%w_.-]+$")
end

local function fresh_id()
  local random = io.open("/dev/urandom", "rb")
  local bytes = random:read(16)
  random:close()
  local hex = bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  return ("%s-%s-4%s-a%s-%s"):format(
    hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16), hex:sub(18, 20), hex:sub(21, 32))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_sane(headers:get("x-request-id")) then
    headers:replace("x-request-id", fresh_id())
  end
  if not is_grpc(headers) then
    headers:remove("grpc-timeout") -- deadlines of REST requests are the gateway's
  end
end

-- The server names the HTTP status (x-http-status), the body of an error (x-error-json) and the
-- length of a stream (x-content-length) in its metadata.
function envoy_on_response(handle)
  local headers = handle:headers()
  if is_grpc(headers) then return end

  local status = headers:get("x-http-status")
  local length = headers:get("x-content-length")
  local body = headers:get("x-error-json")
  for _, name in ipairs(INTERNAL) do headers:remove(name) end
  if status then headers:replace(":status", status) end
  if length then headers:replace("content-length", length) end

  local code = tonumber(headers:get(":status"))
  local is_json = (headers:get("content-type") or ""):sub(1, 16) == "application/json"
  if body then
    handle:body(true):setBytes(body)
    handle:headers():replace("content-type", "application/json") -- the old wrapper died at body()
  elseif code >= 400 and is_json then
    local buffer = handle:body(true)
    local text = buffer:getBytes(0, buffer:length())
    local message = text:match('^{"code":%d+,"message":(".-"),"details":%[')
    if message then -- an error that nobody gave a body
      if message:find("DecodeError", 1, true) then
        handle:headers():replace(":status", "400") -- bytes in the path or query that are no text
        message = '"The path or the query is not UTF-8"'
      else
        message = GENERIC[code] or message
      end
      buffer:setBytes('{"detail":' .. message .. "}")
    end
  end
end
