// SPDX-License-Identifier: MIT
//
// documents - what README and docs/ say, taken apart so that a test can hold it against the program:
// blocks of code, code spans, tables, headings, links.

import fs from 'node:fs';
import path from 'node:path';
import { repository } from './penstock.mjs';

/* Written by hand; docs/configuration.md is printed by the program and has a test of its own. */
export const own_documents = ['README.md', 'CONTRIBUTING.md', 'docs/ARCHITECTURE.md', 'docs/operations.md', 'docs/clients.md', 'docs/streams.md', 'docs/helpers.md'];
export const all_documents = [...own_documents, ...fs.readdirSync(path.join(repository, 'docs')).filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`).filter((name) => !own_documents.includes(name))];

export function read(name) {
    return fs.readFileSync(path.join(repository, name), 'utf8');
}

/* blocks - fenced code: {language, text, line, next}: next is the block that follows at once, if any. */
export function blocks(text) {
    const found = [];
    let open = null;
    let touching = false;
    text.split('\n').forEach((line, at) => {
        if (open === null && line.startsWith('```')) {
            open = { language: line.slice(3), lines: [], line: at + 1, follows: touching };
        } else if (open !== null && line === '```') {
            const block = { language: open.language, text: `${open.lines.join('\n')}\n`, line: open.line, next: null };
            if (open.follows) found.at(-1).next = block;
            found.push(block);
            open = null;
            touching = true;
        } else if (open !== null) {
            open.lines.push(line);
        } else if (line !== '') {
            touching = false;
        }
    });
    if (open) throw new Error(`the block at line ${open.line} has no end`);
    return found;
}

/* prose - the text without its blocks of code. */
export function prose(text) {
    return text.replace(/^```[^]*?^```$/gm, '');
}

/* spans - what stands between single backticks outside of blocks. */
export function spans(text) {
    return [...prose(text).matchAll(/`([^`\n]+)`/g)].map((found) => found[1]);
}

/* rows - the cells of every table row, header rows and rulers among them. */
export function rows(text) {
    return prose(text).split('\n').filter((line) => /^\|.*\|$/.test(line))
        .map((line) => line.slice(1, -1).split('|').map((cell) => cell.trim()));
}

/* section - the text under a heading, up to the next of the same or a higher rank. */
export function section(text, heading) {
    const lines = text.split('\n');
    const from = lines.findIndex((line) => line.replace(/^#+ /, '') === heading && line.startsWith('#'));
    if (from < 0) throw new Error(`no heading "${heading}"`);
    const rank = /^#+/.exec(lines[from])[0].length;
    let to = from + 1;
    while (to < lines.length && !(/^#+ /.test(lines[to]) && /^#+/.exec(lines[to])[0].length <= rank)) to++;
    return lines.slice(from + 1, to).join('\n');
}

/* anchors - what a link may name behind '#'. */
export function anchors(text) {
    return prose(text).split('\n').filter((line) => /^#+ /.test(line)).map((line) => line.replace(/^#+ /, '').toLowerCase()
        .replace(/[^a-z0-9 _-]/g, '').replaceAll(' ', '-'));
}

/* links - the targets of [text](target). */
export function links(text) {
    return [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map((found) => found[1]);
}

/* settled - a printed answer without what differs from run to run. */
export function settled(text) {
    return text.replace(/^id: [A-Za-z0-9]+-/gm, 'id: X-').replace(/"(chatcmpl-|msg_)[A-Za-z0-9]+"/g, '"$1X"')
        .replace(/"created":\d+/g, '"created":0');
}

/* agrees - does an answer read as printed? A line "..." stands for any lines. Gives the first part that is missing. */
export function missing_part(printed, answer) {
    const parts = settled(printed).trim().split(/\n*^\.\.\.$\n*/m);
    const whole = settled(answer).trim();
    if (parts.length === 1) return whole === parts[0] ? null : parts[0];
    let from = 0;
    for (const [at, part] of parts.entries()) {
        const found = at === parts.length - 1 ? whole.lastIndexOf(part) : whole.indexOf(part, from);
        const good = at === 0 ? found === 0 : at === parts.length - 1 ? found >= from && found + part.length === whole.length : found >= 0;
        if (!good) return part;
        from = found + part.length;
    }
    return null;
}

/* reference - the paths of `print-config --reference`, each with the default it shows (or undefined for "#key"). */
export function reference(yaml) {
    const known = new Map();
    const above = [];
    for (const line of yaml.split('\n')) {
        const found = /^( *)(- )?(#?)([a-z_]+):(?: (.*))?$/.exec(line);
        if (!found) continue;
        const depth = found[1].length + (found[2] ? 2 : 0);
        while (above.length > 0 && above.at(-1).depth >= depth) above.pop();
        above.push({ depth, name: found[4] });
        known.set(above.map(({ name }) => name).join('.'), found[3] ? undefined : found[5]);
    }
    return known;
}
