// Requests to gatepost-settings, relative to the page, so that it may stand below any path.

const base = "v1/accounts/me";

// {status, body, etag, client, wait}: status 0 when there was no answer; wait in seconds.
async function ask(method, path, body, fields = {}) {
    const request = {method, headers: {Accept: "application/json", ...fields}, cache: "no-store",
                     redirect: "manual"};
    if (body !== undefined) {
        request.body = JSON.stringify(body);
    }
    try {
        const response = await fetch(base + path, request);
        if (response.type === "opaqueredirect") {   // a sign-on sends whom it does not know elsewhere
            return {status: 401, body: {}};
        }
        const text = await response.text();
        return {
            status: response.status,
            body: text === "" ? {} : JSON.parse(text),
            etag: response.headers.get("ETag"),
            client: response.headers.get("X-Gatepost-Client"),
            wait: Number(response.headers.get("Retry-After")) || 60,
        };
    } catch {
        return {status: 0, body: {}};
    }
}

export function getAccount() {
    return ask("GET", "");
}

export function patchAccount(wish, etag) {
    return ask("PATCH", "", wish, {"Content-Type": "application/merge-patch+json",
                                   ...etag && {"If-Match": etag}});
}

export function getPasswords() {
    return ask("GET", "/passwords");
}

export function postPassword(wish) {
    return ask("POST", "/passwords", wish, {"Content-Type": "application/json"});
}

export function deletePassword(id) {
    return ask("DELETE", `/passwords/${encodeURIComponent(id)}`);
}
