// The start of the page: reads words, account and app passwords, and shows them.

import {onAccount, readAccount} from "./account.js";
import {announce, find, startDialog} from "./elements.js";
import {readPasswords, showPasswords, startPasswords} from "./passwords.js";
import {showProtocols} from "./protocols.js";
import {showSources, startSources} from "./sources.js";
import {loadWords, say} from "./words.js";

function show(state) {
    find("account").textContent = state.account;
    for (const element of document.querySelectorAll(".needs-script")) {
        element.hidden = false;
    }
    showProtocols(state);
    showSources(state);
    showPasswords(state);
}

async function read() {
    find("main").setAttribute("aria-busy", "true");
    announce(say("loading"), false);
    if (await readAccount()) {
        await readPasswords();
        announce(say("loaded"), false);
    }
    find("main").removeAttribute("aria-busy");
}

await loadWords();
startDialog();
startSources();
startPasswords();
onAccount(show);
find("again").addEventListener("click", read);
// what holds may have changed while the page was out of sight
document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && !find("confirm").open) {
        readAccount();
    }
});
await read();
