// Where mail may come from: anywhere, or only from listed addresses.

import {change, pendingTime} from "./account.js";
import {announce, cancelButton, fill, fillList, find, make, showError} from "./elements.js";
import {say, sayMoment} from "./words.js";

let state = null;

function mayUnset() {
    return state.may.source.includes("any");
}

function mayRestrict() {
    return state.may.source.includes("authorized");
}

function showChoice() {
    const authorized = state.source === "authorized";
    const pending = pendingTime(state, "source");
    const fixed = authorized ? !mayUnset() : !mayRestrict();
    find("source-any").checked = !authorized;
    find("source-authorized").checked = authorized;
    find("source-choice").disabled = Boolean(pending) || fixed;
    find("source-save").hidden = Boolean(pending) || fixed;
    find("source-cancel").hidden = !pending;
    fill(find("source-state"), pending ? say("pending.source", {time: sayMoment(pending)})
        : fixed ? say("source.host") : null);
}

async function saveChoice(event) {
    event.preventDefault();
    const authorized = find("source-authorized").checked;
    const problem = await change({source: authorized ? "authorized" : null});
    showError(find("source-error"), [], problem && !problem.left ? problem.text : null,
        problem?.detail);
    if (problem) {
        announce(problem.text);
        return;
    }
    if (pendingTime(state, "source")) {
        announce(say("pending.said"));
        find("source-cancel").focus();
    } else {
        announce(say(`source.saved.${state.source}`));
    }
}

async function cancelChoice() {
    const problem = await change({source: "authorized"});
    announce(problem ? problem.text : say("pending.cancelled"));
    find("source-title").focus();
}

// ---- addresses ----

async function removeAddress(block, pending) {
    const problem = await change({ips: {[block]: null}});
    announce(problem ? [problem.text, problem.detail].filter(Boolean).join(" ")
        : pending ? say("pending.cancelled") : say("address.removed", {address: block}));
}

function addressRow(block, note) {
    const own = state.set.ips.includes(block);
    const pending = pendingTime(state, `ips.${block}`);
    const id = `address-${block}`;
    const remove = pending ? cancelButton(id, block, () => removeAddress(block, true))
        : make("button", {type: "button", id, class: "quiet", text: say("address.remove"),
                          "aria-label": say("address.remove.which", {address: block})});
    if (!pending) {
        remove.addEventListener("click", () => removeAddress(block, false));
    }
    return make("li", {class: "row entry"},
        make("div", {class: "what"},
            make("span", {class: "address", text: block}),
            note && make("p", {class: "more", text: note}),
            pending && make("p", {class: "state",
                                  text: say("pending.address", {time: sayMoment(pending)})}),
            !own && make("p", {class: "state", text: say("addresses.host")})),
        own && make("div", {class: "controls"}, remove));
}

/*
 * What to list for the present address: itself, but of IPv6 its network, in which a computer takes
 * another address every day (RFC 8981).
 */
function presentBlock() {
    if (!state.client?.includes(":")) {
        return state.client;
    }
    const [front, back] = state.client.split("::").map(half => half.split(":").filter(Boolean));
    const groups = back ? [...front, ...Array(8 - front.length - back.length).fill("0"), ...back]
        : front;
    return `${groups.slice(0, 4).join(":").replace(/(:0)+$/, "")}::/64`;
}

// The catalogue's words for it.
function presentKind() {
    return state.client.includes(":") ? "network" : "address";
}

function suggestionRow(block, note) {
    const add = make("button", {type: "button", id: `suggested-${block}`, class: "quiet",
                                text: say("suggested.add"),
                                "aria-label": say("suggested.add.which", {address: block})});
    add.addEventListener("click", () => addAddress(block, note));
    return make("li", {class: "row entry"},
        make("div", {class: "what"},
            make("span", {class: "address", text: block}),
            note && make("p", {class: "more", text: note})),
        make("div", {class: "controls"}, add));
}

function showAddresses() {
    const entries = Object.entries(state.ips);
    fillList(find("addresses"), entries.map(([block, note]) => addressRow(block, note)),
        find("addresses-title"));
    fill(find("addresses-none"), entries.length === 0 ? say("addresses.about")
        : state.source !== "authorized" ? say("addresses.unused") : null);
    find("address-form").hidden = !state.may.ips;
    const present = find("address-present");
    const listed = entries.some(([listedBlock]) => listedBlock === presentBlock());
    fill(present, state.client && !listed
        ? say(`${presentKind()}.present`, {address: presentBlock()}) : null);
    const suggested = Object.entries(state.suggested);
    fillList(find("suggestions"), suggested.map(([block, note]) => suggestionRow(block, note)),
        find("addresses-title"));
    find("suggested").hidden = suggested.length === 0;
}

async function addAddress(block, note) {
    const inputs = [find("address")];
    const before = new Set(Object.keys(state.ips));
    const problem = await change({ips: {[block]: note}});
    if (problem) {
        if (problem.left) {
            announce(problem.text);
        } else {
            showError(find("address-error"), inputs, problem.text, problem.detail);
            find("address").focus();
        }
        return;
    }
    showError(find("address-error"), inputs, null);
    find("address-form").reset();
    const added = Object.keys(state.ips).find(key => !before.has(key)) ?? block;
    announce(pendingTime(state, `ips.${added}`) ? say("pending.said")
        : say("address.added", {address: added}));
    find("address").focus();
}

export function showSources(account) {
    state = account;
    showChoice();
    showAddresses();
}

export function startSources() {
    find("source-form").addEventListener("submit", saveChoice);
    find("source-cancel").addEventListener("click", cancelChoice);
    find("address-form").addEventListener("submit", event => {
        event.preventDefault();
        addAddress(find("address").value.trim(), find("address-note").value.trim());
    });
    find("address-present").addEventListener("click", () =>
        addAddress(presentBlock(), find("address-note").value.trim()
            || say(`${presentKind()}.present.note`)));
}
