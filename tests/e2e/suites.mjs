// SPDX-License-Identifier: MIT
//
// suites - which end-to-end suites exist and with which builds of the gateway each is worth its time. Those that measure
// time or load the machine run alone; the others share it by two.

const every = ['release', 'asan', 'tsan']; // what threads share: tokens, thoughts, the configuration, many streams at once
const both = ['release', 'asan'];
const release = ['release'];
// What depends on the kernel interface runs once more where penstock uses io_uring: each kind of suite at least once.
const uring = 'io_uring';
const uring_asan = 'io_uring_asan';

export const suites = [
    { file: 'harness.test.mjs', builds: release },
    { file: 'sdk_openai.test.mjs', builds: [...both, uring] },
    { file: 'sdk_anthropic.test.mjs', builds: [...both, uring] },
    { file: 'sdk_google.test.mjs', builds: both },
    { file: 'sdk_vercel.test.mjs', builds: release },
    { file: 'pairs.test.mjs', builds: [...both, uring] },
    { file: 'random.test.mjs', builds: both },
    { file: 'pitfalls.test.mjs', builds: both },
    { file: 'fields.test.mjs', builds: release },
    { file: 'clients.test.mjs', builds: release },
    { file: 'requests.test.mjs', builds: both },
    { file: 'endpoints.test.mjs', builds: both },
    { file: 'helpers.test.mjs', builds: both },
    { file: 'conform.test.mjs', builds: release },
    { file: 'google.test.mjs', builds: every },
    { file: 'discover.test.mjs', builds: every },
    { file: 'media.test.mjs', builds: both },
    { file: 'recall.test.mjs', builds: every },
    { file: 'resume.test.mjs', builds: every },
    { file: 'recordings.test.mjs', builds: release },
    { file: 'recordings_errors.test.mjs', builds: both },
    { file: 'recordings_requests.test.mjs', builds: both },
    { file: 'retries.test.mjs', builds: both, alone: true },
    { file: 'http.test.mjs', builds: [...both, uring], alone: true },
    { file: 'streams.test.mjs', builds: [...both, uring], alone: true },
    { file: 'streams_heavy.test.mjs', builds: both, alone: true },
    { file: 'streams_cut.test.mjs', builds: [...both, uring, uring_asan] },
    { file: 'faults_cut.test.mjs', builds: both, alone: true },
    { file: 'faults_heads.test.mjs', builds: both, alone: true },
    { file: 'faults_bodies.test.mjs', builds: [...both, uring], alone: true },
    { file: 'faults_kept.test.mjs', builds: [...both, uring, uring_asan] },
    { file: 'faults_sizes.test.mjs', builds: both, alone: true },
    { file: 'faults_tls.test.mjs', builds: [...both, uring], alone: true },
    { file: 'faults_frozen.test.mjs', builds: both, alone: true },
    { file: 'streams_concurrent.test.mjs', builds: [...every, uring], alone: true },
    { file: 'memory.test.mjs', builds: release, alone: true },
    { file: 'hostile_smuggling.test.mjs', builds: [...both, uring] },
    { file: 'hostile_clients.test.mjs', builds: release, alone: true },
    { file: 'hostile_limits.test.mjs', builds: [...both, uring], alone: true },
    { file: 'tls.test.mjs', builds: both, alone: true },
    { file: 'ops.test.mjs', builds: every, alone: true },
    { file: 'secrets.test.mjs', builds: both },
    { file: 'service.test.mjs', builds: [...every, uring], alone: true },
    { file: 'backend.test.mjs', builds: [...both, uring, uring_asan] },
    { file: 'privilege.test.mjs', builds: both },
    { file: 'tools.test.mjs', builds: both, alone: true },
    { file: 'load.test.mjs', builds: [...both, uring], alone: true },
    { file: 'bench.test.mjs', builds: release, alone: true },
    { file: 'readme.test.mjs', builds: release },
];
