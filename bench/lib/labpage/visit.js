// In a frame of the page, whose policy names one origin: the server of the experiment. It asks, and says what it saw.
'use strict';

addEventListener('message', async event => {
    if (event.origin !== location.origin) return;
    const {url, count, mode} = event.data;
    const seen = await ask(url, count, mode).then(spans => ({spans}), error => ({error: error.message}));
    event.source.postMessage(seen, location.origin);
});
