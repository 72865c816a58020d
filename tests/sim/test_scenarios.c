#include "tests/sim/harness.h"
#include <stdio.h>
int main(void)
{
    struct world world;
    world_open(&world, 1, NULL, "");
    for (int i = 0; i < 8; i++) {
        struct client *client = client_connect(&world, i & 1 ? SPEAKS_MESSAGES : SPEAKS_CHAT);
        client_ask(client, (struct asking){.model = i & 2 ? "claude" : "chat", .marker = "mark-1", .stream = i & 4});
        client_await(client, 1, 60000);
        printf("%d\n%.*s\n\n", i, SLICE_ARG(client_heard(client)));
        client_expect(client, 0, 200, TOLD_WELL, NULL);
        client_expect_text(client, 0, &(struct tale){.marker = "mark-1", .words = 5});
    }
    world_close(&world);
    return 0;
}
