// App passwords: made, shown once, revoked; and whether mail programs need one.

import {change, failure, pendingTime} from "./account.js";
import {deletePassword, getPasswords, postPassword} from "./api.js";
import {announce, confirmed, fill, fillList, find, make, showError} from "./elements.js";
import {titles} from "./protocols.js";
import {say, sayDay, sayList, sayMoment, sentence} from "./words.js";

// services whose doors take no app password
const WITHOUT = new Set(["webmail", "smtp"]);

let state = null;
let passwords = [];
let mayAdd = false;

function nameOf(password) {
    return password.note || say("password.unnamed", {id: password.id});
}

async function revoke(password) {
    announce("");
    const name = nameOf(password);
    if (!await confirmed({text: say("password.revoke.text", {name}), yes: say("password.revoke")})) {
        announce(say("confirm.left"));
        return;
    }
    const answer = await deletePassword(password.id);
    announce(answer.status === 204 || answer.status === 200 ? say("password.revoked", {name})
        : failure(answer));
    await readPasswords();
}

function row(password) {
    const names = titles(state.protocols);
    const goodFor = password.protocols.map(name => names.get(name) ?? name);
    const facts = [
        say("password.for.list", {protocols: sayList(goodFor)}),
        password.created && say("password.created", {time: sayDay(password.created)}),
        password.last_use && say("password.used", {time: sayDay(password.last_use)}),
        password.until && say("password.ends", {time: sayMoment(password.until)}),
    ];
    const pending = password.from && new Date(password.from) > new Date();
    const button = make("button", {
        type: "button", id: `revoke-${password.id}`, class: "quiet", text: say("password.revoke"),
        "aria-label": say("password.revoke.which", {name: nameOf(password)})});
    button.addEventListener("click", () => revoke(password));
    return make("li", {class: "row entry"},
        make("div", {class: "what"},
            make("span", {class: "name", text: nameOf(password)}),
            ...facts.filter(Boolean).map(text => make("p", {class: "more", text})),
            pending && make("p", {class: "state",
                                  text: say("pending.password", {time: sayMoment(password.from)})})),
        make("div", {class: "controls"}, button));
}

export async function readPasswords() {
    const answer = await getPasswords();
    if (answer.status === 200) {
        passwords = answer.body.passwords;
        mayAdd = answer.body.may_add;
    } else if (answer.status !== 403) {
        announce(failure(answer));
        return;
    }
    fill(find("passwords-off"), mayAdd ? null : say("passwords.off"));
    showForm();
    showList();
}

function showList() {
    fillList(find("passwords"), passwords.map(row), find("passwords-title"));
    find("passwords-none").hidden = passwords.length > 0;
}

// ---- making ----

function showForm() {
    find("password-form").hidden = !mayAdd;
    const names = titles(state.protocols);
    const place = find("password-protocols");
    const checked = new Set([...place.querySelectorAll("input:checked")].map(box => box.value));
    const offered = Object.entries(state.protocols).filter(([, protocol]) =>
        protocol.status === "on" && protocol.offered && protocol.services.some(service => !WITHOUT.has(service)));
    place.replaceChildren(...offered.map(([name]) => {
        const id = `for-${name}`;
        return make("p", {class: "choice"},
            make("input", {type: "checkbox", id, value: name, checked: checked.has(name),
                           "aria-describedby": "password-error"}),
            make("label", {for: id, text: names.get(name)}));
    }));
}

// The end of a day where the user is, as the server reads it.
function endOfDay(day) {
    return new Date(`${day}T23:59:59`).toISOString().replace(/\.\d+Z$/, "Z");
}

async function makePassword(event) {
    event.preventDefault();
    announce("");
    const place = find("password-error");
    const boxes = [...find("password-protocols").querySelectorAll("input")];
    const inputs = {protocols: boxes, note: [find("password-note")], until: [find("password-until")]};
    showError(place, Object.values(inputs).flat(), null);
    const protocols = boxes.filter(box => box.checked).map(box => box.value);
    if (protocols.length === 0) {
        showError(place, boxes, say("password.choose"));
        boxes[0]?.focus();
        return;
    }
    const day = find("password-until").value;
    const answer = await postPassword({protocols, note: find("password-note").value.trim(),
                                       ...day && {until: endOfDay(day)}});
    if (answer.status !== 201) {
        const field = inputs[answer.body.field] ?? [];
        showError(place, field, answer.status !== 422 ? failure(answer)
            : say(field.length === 1 ? `error.${answer.body.field}` : "error.other"),
        sentence(answer.body.reason));
        field[0]?.focus();
        return;
    }
    find("password-form").reset();
    showMade(answer.body);
    await readPasswords();
}

function showMade({password, from}) {
    find("made-password").textContent = password;
    fill(find("made-from"), from && say("pending.password", {time: sayMoment(from)}));
    find("made").hidden = false;
    find("made-title").focus();
    announce(say("made.ready"));
}

async function copyMade() {
    const place = find("made-password");
    try {
        await navigator.clipboard.writeText(place.textContent);
        announce(say("made.copied"));
    } catch {
        getSelection().selectAllChildren(place);
        announce(say("made.select"));
    }
}

function hideMade() {
    find("made-password").textContent = "";
    find("made").hidden = true;
    announce(say("made.gone"));
    find("passwords-title").focus();
}

// ---- his own password ----

function showApplication() {
    const needed = state.password === "application";
    const pending = pendingTime(state, "password");
    const fixed = !state.may.password.includes(needed ? "any" : "application");
    const input = find("application");
    input.checked = needed;
    input.disabled = Boolean(pending) || fixed;
    find("application-word").textContent = say(needed ? "protocol.on" : "protocol.off");
    find("application-cancel").hidden = !pending;
    fill(find("application-state"), pending ? say("pending.application", {time: sayMoment(pending)})
        : fixed ? say("application.host") : null);
}

async function flipApplication() {
    const wanted = find("application").checked;
    const problem = await change({password: wanted ? "application" : null});
    announce(problem ? [problem.text, problem.detail].filter(Boolean).join(" ")
        : pendingTime(state, "password") ? say("pending.said")
            : say(wanted ? "application.on" : "application.off"));
}

async function cancelApplication() {
    const problem = await change({password: "application"});
    announce(problem ? problem.text : say("pending.cancelled"));
    find("application").focus();
}

export function showPasswords(account) {
    state = account;
    showForm();
    showList();
    showApplication();
}

export function startPasswords() {
    find("password-form").addEventListener("submit", makePassword);
    find("made-copy").addEventListener("click", copyMade);
    find("made-done").addEventListener("click", hideMade);
    find("application").addEventListener("change", flipApplication);
    find("application-cancel").addEventListener("click", cancelApplication);
}
