// SPDX-License-Identifier: MIT
//
// world - a fake provider and a gateway in front of it, for the length of one suite.

import { after, before, describe } from 'node:test';
import { FakeProvider } from '../../../tools/fake_provider/provider.mjs';
import { gateway_config, Penstock } from './penstock.mjs';

/*
 * in_world - a suite with world.provider and world.penstock.
 * sections  for gateway_config: an object, or a function of the provider's URL that makes one
 * options   of Penstock.start; provider: options of the fake provider; concurrency: of the suite's parts
 */
export function in_world(name, sections, body, options = {}) {
    describe(name, { concurrency: options.concurrency ?? 1 }, () => {
        const world = {};
        before(async () => {
            world.provider = await new FakeProvider(options.provider).start();
            const made = typeof sections === 'function' ? sections(world.provider.url) : sections;
            world.penstock = await Penstock.start(gateway_config(world.provider.url, made), options);
        });
        after(async () => {
            try {
                await world.penstock?.stop();
            } finally {
                await world.provider?.stop();
            }
        });
        body(world);
    });
}
