#pragma once
/* Memory that a burst has left in the heap of the C library. jemalloc gives it back by itself. */

/* Gives it back to the kernel where there is much, at most once in some seconds. To find out takes
 * a look at all of the heap, for which others who allocate may wait for milliseconds. Any thread.
 */
void heap_trim(void);
