// Of the page of torc-lab and that of torc-bench lab.
'use strict';

const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

function make(name, attributes = {}, ...children) {
    const e = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key in e && key !== 'list') e[key] = value;
        else e.setAttribute(key, value);
    }
    e.append(...children);
    return e;
}

function draw(name, attributes, ...children) {
    const e = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    e.append(...children);
    return e;
}

// How much larger a picture is drawn: as text is larger than usual, but for what would not fit in a width in px.
const NARROW = 264; // of a picture on a small phone
function enlarged(wide) {
    return Math.max(Math.min(parseFloat(getComputedStyle(document.documentElement).fontSize) / 16, wide / NARROW), 1);
}

const formats = []; // by digits: slow to make
function number(value, digits = 0) {
    formats[digits] ??= new Intl.NumberFormat('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits});
    return formats[digits].format(value);
}

function say(text, failed = false) {
    $('status').textContent = text;
    $('status').className = failed ? 'failed' : '';
}
