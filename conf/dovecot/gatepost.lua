-- Gatepost's passdb for Dovecot 2.3 and 2.4. It stands in front of the host's own passdb and asks
-- Gatepost about every password. Needs dovecot-auth-lua and lua-socket. It runs in the auth-worker
-- processes, which are root's by default and keep a connection each.
--
-- The status of Gatepost's answer decides, and nothing else:
--   204            go on: the host's own passdb checks the password
--   403            go on as well: the door is closed, and auth_policy says so after the password.
--                  So a stranger does not learn what is closed. Never use this without auth_policy.
--   200, or 403    an app password, if the answer has the nonce of this very question; the door is
--                  auth_policy's again
--   all else       temporary failure: Gatepost or its store is away, hung or not asked properly

-- passwords_listen of gatepost.conf
local SOCKET = "/run/gatepost/passwords.sock"

-- For one question, in seconds. Longer than store_timeout of gatepost.conf.
local TIMEOUT = 1.0

-- Services that Dovecot itself cannot tell apart, by the port that the client came to. Webmail takes
-- no app passwords: they could make others.
local SERVICE_OF_PORT = { ["465"] = "submissions", ["10143"] = "webmail",
                          ["10144"] = "caldav" }

-- Who has such a port for himself: real_client_from of its listener. From any other address it is the
-- service that Dovecot says, for which an app password must be good.
local CLIENTS_OF_PORT = { ["10144"] = { ["127.0.0.1"] = true, ["::1"] = true } }

-- What asks for accounts without a login: mail that is delivered must not wait for Gatepost.
local NO_LOGIN = { lmtp = true, doveadm = true }

local HEADER_LINES = 64
local BODY_MAX = 65536

local socket = require "socket"
local unix = require "socket.unix"

local connection -- kept open from question to question

local function drop()
  if connection then
    connection:close()
  end
  connection = nil
end

-- The time left for this question; never 0, which would be no time-out.
local function bound(deadline)
  connection:settimeout(math.max(deadline - socket.gettime(), 0.001), "t")
end

local function connect(deadline)
  connection = unix.stream and unix.stream() or unix()
  bound(deadline)
  local done, why = connection:connect(SOCKET)
  if not done then
    drop()
    return nil, why
  end
  return true
end

local function receive(what, deadline)
  if socket.gettime() >= deadline then
    return nil, "timeout"
  end
  bound(deadline)
  return connection:receive(what)
end

-- The status, three characters, and the fields; or nil, why, and whether there was any answer.
local function read_answer(deadline)
  local line, why = receive("*l", deadline)
  if not line then
    return nil, why, false
  end
  if line:sub(1, 9) ~= "HTTP/1.1 " or #line < 12 or (#line > 12 and line:sub(13, 13) ~= " ") then
    return nil, "not HTTP/1.1", true
  end
  local status, fields = line:sub(10, 12), {}
  for _ = 1, HEADER_LINES do
    line, why = receive("*l", deadline)
    if not line then
      return nil, why, true
    end
    if line == "" then
      return status, fields, true
    end
    local name, value = line:match("^([%w-]+):[ \t]*(.-)[ \t]*$")
    if not name or fields[name:lower()] then
      return nil, "not a header field, or twice", true
    end
    fields[name:lower()] = value
  end
  return nil, "too many header fields", true
end

-- Reads past the body, so that the connection can be used again; otherwise it is closed.
local function skip_body(status, fields, deadline)
  local length = status == "204" and 0 or tonumber(fields["content-length"])
  if fields["transfer-encoding"] or not length or length > BODY_MAX
    or (fields["connection"] or ""):lower() == "close"
    or (length > 0 and not receive(length, deadline)) then
    drop()
  end
end

local function exchange(request, deadline)
  bound(deadline)
  local sent, why = connection:send(request)
  if not sent then
    drop()
    return nil, why, false
  end
  local status, answer, begun = read_answer(deadline)
  if not status then
    drop()
    return nil, answer, begun
  end
  skip_body(status, answer, deadline)
  return status, answer
end

-- A kept connection may have been closed meanwhile, by a restart: then a new one is tried, once.
local function ask(request)
  local deadline = socket.gettime() + TIMEOUT
  if connection then
    local status, answer, begun = exchange(request, deadline)
    if status or begun or answer == "timeout" then
      return status, answer
    end
  end
  local connected, why = connect(deadline)
  if not connected then
    return nil, why
  end
  return exchange(request, deadline)
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local random -- /dev/urandom, read some pages ahead

local function nonce()
  random = random or assert(io.open("/dev/urandom", "rb"))
  local octets = random:read(16)
  assert(octets and #octets == 16, "/dev/urandom cannot be read")
  return (octets:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function text(value)
  return value ~= nil and tostring(value) or ""
end

-- What kept it from answering: the store, where it says so (503), or it is not there.
local function failure(status, answer)
  if status == "503" and answer["x-gatepost-text"] then
    return text(answer["x-gatepost-text"])
  end
  return status and "unexpected answer " .. status or text(answer)
end

-- TLS that Dovecot ended itself; of Postfix's clients, who come to no port of Dovecot, Postfix's.
local function is_tls(secured, port)
  return secured == "TLS" or ((port == "" or port == "0") and secured ~= "")
end

local function service(req, port)
  local clients, real = CLIENTS_OF_PORT[port], text(req.real_remote_ip or req.real_rip)
  if clients and not clients[real] then
    port = ""
  end
  return SERVICE_OF_PORT[port] or text(req.protocol or req.service)
end

local function question(req, password, mark)
  local port = text(req.local_port or req.lport)
  local secured = req.secured == true and "secured" or text(req.secured or "")
  local body = ('{"service":%s,"account":%s,"ip":%s,"tls":%s,"password":%s,"nonce":%s}'):format(
    quoted(service(req, port)), quoted(text(req.user)),
    quoted(text(req.remote_ip or req.rip)), is_tls(secured, port) and "true" or "false",
    quoted(password), quoted(mark))
  return "POST /v1/password HTTP/1.1\r\nHost: gatepost\r\nContent-Type: application/json\r\n"
    .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
end

-- For a failure both releases of Dovecot want a text as the second value, for success a table.
local function judge(req, password)
  if not utf8.len(text(req.user)) then
    return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, ""
  end
  if not utf8.len(password) then
    password = "" -- no app password, but perhaps one of the host's own
  end
  local mark = nonce()
  local status, answer = ask(question(req, password, mark))
  local is_app = password ~= "" and status and answer["x-gatepost-nonce"] == mark
  if is_app and (status == "200" or status == "403") then
    return dovecot.auth.PASSDB_RESULT_OK, { gatepost = "app" }
  end
  if status == "204" or status == "403" then
    return dovecot.auth.PASSDB_RESULT_NEXT, ""
  end
  dovecot.i_error("gatepost: " .. SOCKET .. ": " .. failure(status, answer))
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, ""
end

local function safely(req, password)
  local done, result, second = pcall(judge, req, password)
  if done then
    return result, second
  end
  drop()
  dovecot.i_error("gatepost: " .. text(result))
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, ""
end

function auth_password_verify(req, password)
  return safely(req, password)
end

-- Mechanisms that need the password's hash, and the accounts of master logins: no app passwords.
function auth_passdb_lookup(req)
  if NO_LOGIN[text(req.protocol or req.service)] then
    return dovecot.auth.PASSDB_RESULT_NEXT, ""
  end
  return safely(req, "")
end

function script_init()
  return 0
end

function script_deinit()
  drop()
end
