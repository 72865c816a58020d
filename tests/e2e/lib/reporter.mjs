// SPDX-License-Identifier: MIT
//
// reporter - a test reporter that says little while all is well: failures in full, skips with their
// reason, and one machine-readable line of counts at the end. Suites are not counted, only tests.

function indent(text) {
    return String(text).split('\n').map((line) => `      ${line}`).join('\n');
}

function describe_error(error) {
    const cause = error?.cause ?? error;
    return cause?.stack ?? cause?.message ?? String(cause);
}

export default async function* reporter(source) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    let cancelled = 0;
    for await (const { type, data } of source) {
        if (type !== 'test:pass' && type !== 'test:fail') continue;
        const suite = data.details?.type === 'suite';
        const skipped = data.skip !== undefined && data.skip !== false;
        if (type === 'test:fail') {
            // A suite fails because a test of its own failed, which was told already, or in its hooks.
            const code = data.details?.error?.failureType ?? data.details?.error?.code;
            if (suite && code === 'subtestsFailed') continue;
            counts.failed++;
            if (code === 'cancelledByParent') {
                cancelled++;
                continue;
            }
            yield `    FAILED: ${data.name}\n${indent(describe_error(data.details?.error))}\n`;
        } else if (!suite && skipped) {
            counts.skipped++;
            yield `    skipped: ${data.name}${typeof data.skip === 'string' ? ` (${data.skip})` : ''}\n`;
        } else if (!suite) {
            counts.passed++;
        }
    }
    if (cancelled > 0) yield `    FAILED: ${cancelled} tests could not run\n`;
    yield `@@counts ${counts.passed} ${counts.failed} ${counts.skipped}\n`;
}
