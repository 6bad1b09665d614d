-- Gatepost's door for Apache's mod_lua: a function for LuaHookAuthChecker for each service.
-- Nothing that the client sent is in the question. Who gets no clear yes does not get in.

local unix = require "socket.unix"

local SOCKET = "/run/gatepost/doors.sock"
local PATIENCE = 2 -- seconds, for each step

local UNAVAILABLE = "This service is unavailable for the moment. Try again later."

-- The status of Gatepost's answer and its text, or nil.
local function ask(question)
  local door = unix.stream and unix.stream() or unix()
  door:settimeout(PATIENCE)
  local status, text
  if door:connect(SOCKET) and door:send(question) then
    local line = door:receive("*l")
    status = line and line:match("^HTTP/1%.[01] (%d%d%d) ")
    while line and line ~= "" do
      local name, value = line:match("^([^:]+):%s*(.*)$")
      if name and name:lower() == "x-gatepost-text" then
        text = value
      end
      line = door:receive("*l")
    end
    if line == nil then
      status = nil -- torn
    end
  end
  door:close()
  return status, text
end

-- Answers the client itself; Apache is not to go on.
local function refuse(r, status, text, name, value)
  r.status = status
  r.content_type = "text/plain; charset=utf-8"
  r.err_headers_out[name] = value
  r:puts(text .. "\n")
  return apache2.DONE
end

-- No client says the fields of Gatepost to the server behind; nor names with "_", which many such
-- servers do not tell from "-".
local function remove_forged(r)
  for name in pairs(r:headers_in_table()) do
    if name:lower():find("^x%-gatepost%-") or name:find("_", 1, true) then
      r.headers_in[name] = nil
    end
  end
end

local function check(r, service)
  if r.user == nil or r.user == "" or r.user:find("%c") then
    return 401
  end
  local status, text = ask(table.concat({
    "GET /v1/allow HTTP/1.0",
    "X-Gatepost-Service: " .. service,
    "X-Gatepost-Account: " .. r.user,
    "X-Gatepost-Client: " .. r.useragent_ip,
    "X-Gatepost-TLS: " .. (r.is_https and "on" or "off"),
    "", "",
  }, "\r\n"))
  if status == "200" then
    remove_forged(r)
    return apache2.DECLINED -- go on: `Require` must agree, too
  end
  if status == "401" then
    return 401
  end
  if status == "403" then
    return refuse(r, 403, text or "closed", "Cache-Control", "no-store")
  end
  error("no answer that says yes or no: " .. tostring(status))
end

local function door(service)
  return function(r)
    local done, result = pcall(check, r, service)
    if done then
      return result
    end
    r:err("gatepost: " .. tostring(result))
    return refuse(r, 503, UNAVAILABLE, "Retry-After", "30")
  end
end

caldav = door("caldav")
carddav = door("carddav")
webdav = door("webdav")
activesync = door("activesync")
jmap = door("jmap")
webmail = door("webmail")
