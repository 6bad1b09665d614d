-- Gatepost's door for HAProxy: the action lua.gatepost SERVICE. It asks for the account in
-- txn.account and leaves "open", "closed" or "unavailable" in txn.gatepost, the text of a refusal
-- in txn.gatepost_text. Nothing that the client sent is in the question.

local URL = "http://127.0.0.1:9479/v1/allow"
local PATIENCE = 700 -- milliseconds; HAProxy asks up to four times

-- now, at the start: afterwards HAProxy is in its chroot and no longer root
local file = assert(io.open("/etc/gatepost/doors-token"))
local token = assert(file:read("l"), "the file of the token is empty")
file:close()

local function ask(txn, service)
  return core.httpclient():get({
    url = URL,
    timeout = PATIENCE,
    headers = {
      ["X-Gatepost-Token"] = { token },
      ["X-Gatepost-Service"] = { service },
      ["X-Gatepost-Account"] = { txn:get_var("txn.account") or "" },
      ["X-Gatepost-Client"] = { txn.f:src() },
      ["X-Gatepost-TLS"] = { txn.f:ssl_fc() == 1 and "on" or "off" },
    },
  })
end

core.register_action("gatepost", { "http-req" }, function(txn, service)
  txn:set_var("txn.gatepost", "unavailable")
  txn:set_var("txn.gatepost_text", "")
  local done, answer = pcall(ask, txn, service)
  if not done or not answer then
    return
  end
  local fields = answer.headers or {}
  local function said(name)
    return fields[name] and fields[name][0] or ""
  end
  if answer.status == 200 then
    txn:set_var("txn.gatepost", "open")
  elseif answer.status == 403 and said("x-gatepost-reason") ~= "bad-token" then
    txn:set_var("txn.gatepost", "closed")
    txn:set_var("txn.gatepost_text", said("x-gatepost-text"))
  else
    core.Alert("gatepost: no answer that says yes or no: " .. tostring(answer.status))
  end
end, 1)
