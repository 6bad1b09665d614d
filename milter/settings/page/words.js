// The catalogue of the page's language, and how times and lists are written in it.

export const language = document.documentElement.lang;

let words = {};

export async function loadWords() {
    const answer = await fetch(`${language}.json`);
    words = answer.ok ? await answer.json() : {};
}

export function hasWords(key) {
    return Object.hasOwn(words, key);
}

// The text of that key, with its {places} filled. A key without text is said itself.
export function say(key, values = {}) {
    const text = hasWords(key) ? words[key] : key;
    return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

function format(time, options) {
    const date = new Date(time);
    return Number.isNaN(date.getTime()) ? String(time)
        : new Intl.DateTimeFormat(language, options).format(date);
}

export function sayDay(time) {
    return format(time, {dateStyle: "long"});
}

export function sayMoment(time) {
    return format(time, {dateStyle: "long", timeStyle: "short"});
}

export function sayList(items) {
    return new Intl.ListFormat(language, {type: "conjunction"}).format(items);
}

export function capitalized(text) {
    return text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
}

// What the server says, as a sentence of its own; undefined where it says nothing.
export function sentence(text) {
    return text && capitalized(text) + (/[.!?]$/.test(text) ? "" : ".");
}
