// The account as it was read last, and the way of every change to it.

import {getAccount, patchAccount} from "./api.js";
import {announce, confirmed, find} from "./elements.js";
import {say, sentence} from "./words.js";

let account = null;
let etag = null;
let client = null;
let shown = () => {};

// `show` is called with what has been read, after each reading.
export function onAccount(show) {
    shown = show;
}

function adopt(answer) {
    account = answer.body;
    etag = answer.etag;
    client = answer.client ?? client;
    showAgain();
}

// What a failed request means, for the user.
export function failure({status, wait}) {
    switch (status) {
    case 0: case 500: case 502: case 503: case 504:
        return say("error.away");
    case 401:
        return say("error.login");
    case 403:
        return say("error.forbidden");
    case 404:
        return say("error.gone");
    case 412:
        return say("error.stale");
    case 429:
        return say("error.many", {seconds: wait});
    default:
        return say("error.other");
    }
}

// Reads it anew; true when that was possible. Else `again` is offered.
export async function readAccount() {
    const answer = await getAccount();
    const fine = answer.status === 200;
    find("again-row").hidden = fine;
    if (fine) {
        adopt(answer);
    } else {
        announce(failure(answer));
    }
    return fine;
}

// The words of a wish for error.* and confirm.*: that of its only member.
function kindOf(wish) {
    return Object.keys(wish)[0];
}

async function askedTwice(wish, answer) {
    const yes = await confirmed({text: say(`confirm.${kindOf(wish)}`), detail: sentence(answer.body.reason)});
    return yes ? patchAccount({...wish, confirm: true}, etag) : null;
}

let last = Promise.resolve();

/*
 * Makes a change, after those that are being made. Returns null when it is done, with what holds
 * shown; else {text, detail, field}: what to say, in the page's language and in the server's words.
 */
export function change(wish) {
    last = last.then(() => changeNow(wish));
    return last;
}

async function changeNow(wish) {
    announce("");
    find("main").setAttribute("aria-busy", "true");
    let answer = await patchAccount(wish, etag);
    find("main").removeAttribute("aria-busy");
    if (answer.status === 409) {
        answer = await askedTwice(wish, answer);
    }
    if (answer?.status === 200) {
        adopt(answer);
        return null;
    }
    if (answer?.status === 412) {
        await readAccount();
    } else {
        showAgain();
    }
    return problemOf(wish, answer);
}

// Controls that say what was wished say what holds.
function showAgain() {
    shown({...account, client});
}

function problemOf(wish, answer) {
    if (answer === null) {
        return {text: say("confirm.left"), left: true};
    }
    return answer.status === 422
        ? {text: say(`error.${kindOf(wish)}`), detail: sentence(answer.body.reason), field: answer.body.field}
        : {text: failure(answer)};
}

// When a wish of that field acts: a time, or undefined.
export function pendingTime(state, field) {
    return state.pending?.find(pending => pending.field === field)?.at;
}
