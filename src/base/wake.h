#pragma once

/* Adds one to the eventfd. The thread that waits for it would wait for ever if this was lost: where
 * every call is refused, says so and ends the process with status 1. Keeps errno. */
void wake_by(int eventfd);
