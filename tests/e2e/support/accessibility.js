// What is wrong with the page as it stands, in the manner of axe: a list of sentences, empty when all is
// well. Names and roles are asked of the browser itself, by accessibility.py.

const problems = [];
const say = (element, text) => {
    const name = element.id ? `#${element.id}` : element.outerHTML.slice(0, 80);
    problems.push(`${name}: ${text}`);
};
const all = selector => [...document.querySelectorAll(selector)];
const shown = element => element.checkVisibility({visibilityProperty: true});

// ---- colours ----

const parse = colour => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
};
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a),
                                           b * a + B * (1 - a), 1];
const ground = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
        layers.push(parse(getComputedStyle(at).backgroundColor));
        if (layers.at(-1)[3] === 1) {
            break;
        }
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
};
const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(octet => {
        const part = octet / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
};

const checkText = element => {
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const below = ground(element);
    const found = ratio(over(parse(style.color), below), below);
    if (found < (large ? 3 : 4.5)) {
        say(element, `contrast of the text ${found.toFixed(2)}`);
    }
};
for (const element of all("body *")) {
    const texts = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (texts && shown(element)) {
        checkText(element);
    }
}
for (const input of all("input").filter(shown)) {
    const style = getComputedStyle(input);
    const native = input.type === "radio" || (input.type === "checkbox" && style.appearance !== "none");
    if (input.type === "text" || input.type === "date") {
        checkText(input);
    }
    if (!native) {
        const found = ratio(parse(style.borderTopColor), ground(input.parentElement));
        if (found < 3 && !input.disabled) {
            say(input, `contrast of the edge ${found.toFixed(2)}`);
        }
    }
}

// ---- structure ----

if (!document.documentElement.lang) {
    problems.push("the page has no language");
}
if (!document.title) {
    problems.push("the page has no title");
}
for (const [selector, wanted] of [["h1", 1], ["main", 1], ["[role=status][aria-live=polite]", 1]]) {
    if (all(selector).length !== wanted) {
        problems.push(`${all(selector).length} of ${selector}`);
    }
}
let level = 0;
for (const heading of all("h1, h2, h3, h4, h5, h6").filter(shown)) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) {
        say(heading, `level ${next} after ${level}`);
    }
    level = next;
}
const ids = all("[id]").map(element => element.id);
for (const id of ids.filter((one, n) => ids.indexOf(one) !== n)) {
    problems.push(`#${id} is there twice`);
}
for (const attribute of ["for", "aria-labelledby", "aria-describedby", "aria-controls"]) {
    for (const element of all(`[${attribute}]`)) {
        for (const id of element.getAttribute(attribute).split(/\s+/).filter(Boolean)) {
            if (!document.getElementById(id)) {
                say(element, `${attribute} names #${id}, which is not there`);
            }
        }
    }
}
for (const list of all("ul, ol")) {
    if ([...list.children].some(child => child.tagName !== "LI")) {
        say(list, "a list of other things than items");
    }
}
for (const element of all("[tabindex]")) {
    if (element.tabIndex > 0) {
        say(element, "an order of its own for the keyboard");
    }
}

// ---- hands and screens ----

for (const element of all("a[href], button, input").filter(shown)) {
    const box = element.getBoundingClientRect();
    const inText = element.tagName === "A";
    if (!inText && element.type !== "radio" && element.type !== "checkbox"
        && (box.width < 24 || box.height < 24)) {
        say(element, `a target of ${box.width} x ${box.height}`);
    }
}
if (document.documentElement.scrollWidth > innerWidth) {
    problems.push(`it scrolls sideways: ${document.documentElement.scrollWidth} in ${innerWidth}`);
}

// ---- nothing inline ----

for (const element of all("[style], style, script:not([src])")) {
    say(element, "script or style in the text");
}
for (const element of all("*")) {
    for (const {name} of element.attributes) {
        if (name.startsWith("on")) {
            say(element, `script in ${name}`);
        }
    }
}
return problems;
