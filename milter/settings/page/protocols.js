// Protocols: a switch for each.

import {change, pendingTime} from "./account.js";
import {announce, cancelButton, fillList, find, make} from "./elements.js";
import {capitalized, hasWords, say, sayDay, sayMoment} from "./words.js";

function known(kind, services) {
    return [...new Set(services.filter(service => hasWords(`${kind}.${service}`))
        .map(service => say(`${kind}.${service}`)))];
}

// Titles of all protocols by name: of their services; with the name where two have the same.
export function titles(protocols) {
    const plain = new Map(Object.entries(protocols).map(([name, protocol]) =>
        [name, known("name", protocol.services).join(" + ") || name]));
    const times = title => [...plain.values()].filter(other => other === title).length;
    return new Map([...plain].map(([name, title]) =>
        [name, times(title) > 1 ? say("protocol.named", {title, name}) : title]));
}

function closedByHost(from, account) {
    const subject = /^account:(.*):[^:]*:[^:]*$/.exec(from ?? "")?.[1];
    if (subject === account) {
        return say("protocol.host.account");
    }
    return subject?.startsWith("@") ? say("protocol.host.domain", {domain: subject.slice(1)})
        : say("protocol.host.all");
}

// Why it is as it is, in sentences.
function stateOf(protocol, account, pending) {
    if (protocol.malformed) {
        return [say("protocol.broken")];
    }
    const yours = protocol.set === "off";
    if (pending) {
        return [say("pending.protocol", {time: sayMoment(pending)})];
    }
    if (protocol.status === "off" && !protocol.may.includes("on")) {
        return [closedByHost(protocol.from, account), yours && say("protocol.yours.too")];
    }
    return [protocol.status === "off" && yours && say("protocol.yours")];
}

function lastUse(protocol) {
    if (!protocol.last_use) {
        return null;
    }
    const newest = Object.values(protocol.last_use).sort().at(-1);
    return newest ? say("protocol.used", {time: sayDay(newest)}) : say("protocol.unused");
}

async function flip(name, title, wanted) {
    const problem = await change({protocols: {[name]: wanted}});
    if (problem) {
        announce([problem.text, problem.detail].filter(Boolean).join(" "));
        return;
    }
    const now = find(`protocol-${name}`)?.checked ? "on" : "off";
    announce(now === wanted ? say(`protocol.switched.${now}`, {title}) : say("pending.said"));
}

function row(name, title, protocol, state) {
    const id = `protocol-${name}`;
    const on = protocol.status === "on";
    const pending = pendingTime(state, `protocols.${name}`);
    const why = stateOf(protocol, state.account, pending).filter(Boolean).join(" ");
    const used = lastUse(protocol);
    const input = make("input", {
        type: "checkbox", role: "switch", class: "switch", id, checked: on,
        disabled: Boolean(pending) || !protocol.may.includes(on ? "off" : "on"),
        "aria-describedby": `${id}-for ${id}-why`});
    input.addEventListener("change", () => flip(name, title, input.checked ? "on" : "off"));
    const purpose = known("for", protocol.services).join("; ");
    const cancel = pending && cancelButton(`${id}-cancel`, title, async () => {
        const problem = await change({protocols: {[name]: "off"}});
        announce(problem ? problem.text : say("pending.cancelled"));
    });
    return make("li", {class: "row"},
        make("div", {class: "what"},
            make("label", {for: id, text: title}),
            make("p", {class: "more", id: `${id}-for`, text: capitalized(purpose)}),
            make("p", {class: "state", id: `${id}-why`, text: why, hidden: !why}),
            used && make("p", {class: "more", text: used})),
        make("div", {class: "controls"},
            make("span", {class: "word", "aria-hidden": "true",
                          text: say(on ? "protocol.on" : "protocol.off")}),
            input, cancel));
}

// Is it closed by the host, whatever the user does?
function isFixed(protocol) {
    return protocol.status === "off" && !protocol.may.includes("on") && protocol.set !== "off";
}

export function showProtocols(state) {
    const names = titles(state.protocols);
    const all = Object.entries(state.protocols);
    const rows = which => [false, true].flatMap(fixed => all
        .filter(([, protocol]) => which(protocol) && isFixed(protocol) === fixed)
        .map(([name, protocol]) => row(name, names.get(name), protocol, state)));
    const offered = rows(protocol => protocol.offered);
    const rest = rows(protocol => !protocol.offered);
    if (offered.length === 0) {
        offered.push(make("li", {class: "row", text: say("protocols.none")}));
    }
    fillList(find("protocols"), offered, find("protocols-title"));
    fillList(find("protocols-rest"), rest, find("protocols-title"));
    find("protocols-more").hidden = rest.length === 0;
}
