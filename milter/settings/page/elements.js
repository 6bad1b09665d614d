// The page's elements: made, found, shown, filled. All text becomes text, never HTML.

import {say} from "./words.js";

export function find(id) {
    return document.getElementById(id);
}

// An element with attributes (an undefined or false one is left out, `text` is its text) and children.
export function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name === "text") {
            element.textContent = value;
        } else if (value !== undefined && value !== false) {
            element.setAttribute(name, value === true ? "" : value);
        }
    }
    element.append(...children.filter(Boolean));
    return element;
}

// Shows the text, or hides the element where there is none.
export function fill(element, text) {
    element.textContent = text ?? "";
    element.hidden = !text;
}

// Fills a list anew. What had the focus keeps it, or gives it to the other control of its
// row, or to `heir`.
export function fillList(list, items, heir) {
    const focused = list.contains(document.activeElement) ? document.activeElement.id : null;
    list.replaceChildren(...items);
    list.hidden = items.length === 0;
    if (focused !== null) {
        const next = [focused, `${focused}-cancel`, focused.replace(/-cancel$/, "")].map(find);
        (next.find(element => element && !element.disabled) ?? heir).focus();
    }
}

// Says something: read out where a screen reader listens, and seen unless everybody sees it anyway.
export function announce(text, seen = true) {
    const status = find("status");
    status.textContent = "";
    status.classList.toggle("unseen", !seen);
    requestAnimationFrame(() => {
        status.textContent = text;
    });
}

// What is wrong with a field, in the page's language and in the server's words. null: nothing.
export function showError(place, inputs, text, detail) {
    place.replaceChildren();
    place.hidden = !text;
    for (const input of inputs) {
        if (text) {
            input.setAttribute("aria-invalid", "true");
        } else {
            input.removeAttribute("aria-invalid");
        }
    }
    if (text) {
        place.append(text);
        if (detail) {
            place.append(" ", make("span", {lang: "en", text: detail}));
        }
        announce(text);
    }
}

// A button that takes back what is pending.
export function cancelButton(id, what, cancel) {
    const button = make("button", {
        type: "button", id, class: "quiet", text: say("pending.cancel"),
        "aria-label": say("pending.cancel.which", {what})});
    button.addEventListener("click", cancel);
    return button;
}

// Asks in the dialog; true for a yes.
export function confirmed({title, text, detail, yes}) {
    const dialog = find("confirm");
    find("confirm-title").textContent = title ?? say("confirm.title");
    find("confirm-text").textContent = text;
    fill(find("confirm-detail"), detail);
    find("confirm-yes").textContent = yes ?? say("confirm.yes");
    dialog.returnValue = "";
    dialog.showModal();
    find("confirm-no").focus();
    return new Promise(resolve => {
        dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), {once: true});
    });
}

export function startDialog() {
    for (const answer of ["yes", "no"]) {
        find(`confirm-${answer}`).addEventListener("click", () => find("confirm").close(answer));
    }
}
